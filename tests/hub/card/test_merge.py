"""A card over a README that a person may have edited."""

import pytest
import yaml
from support.made_run import from_hub, make_run

from hf_cifar.errors import InputError
from hf_cifar.hub.card.card import render_card, write_card
from hf_cifar.hub.card.merge import merge_card

BEGIN, END = "<!-- hf_cifar:begin -->", "<!-- hf_cifar:end -->"


def header(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> str:
    return render_card(make_run(tmp_path_factory.mktemp("cards") / "old") / "finetune")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> str:
    """Of a later run, on a dataset that is not on the Hub, with another network."""
    folder = tmp_path_factory.mktemp("cards") / "new"
    given = {
        "dataset_id": "mine",
        "revision": None,
        "base_model": "microsoft/resnet-18",
        "weights_origin": from_hub("microsoft/resnet-18"),
    }
    return render_card(make_run(folder, stages=("finetune",), **given) / "finetune")


def test_the_same_card_again_changes_nothing(card):
    assert merge_card(card, card) == card


def test_a_card_of_ours_is_replaced_whole(card, fresh):
    assert "datasets" in header(card)
    assert "datasets" not in header(fresh)
    assert merge_card(card, fresh) == fresh


def test_text_around_the_marks_stays(card, fresh):
    edited = card.replace(BEGIN, f"My words before.\n\n{BEGIN}") + "\n## My section\n\n---\n\nMy words after.\n"
    merged = merge_card(edited, fresh)
    block = fresh[fresh.index(BEGIN) : fresh.index(END) + len(END)]
    assert f"My words before.\n\n{block}\n\n## My section\n\n---\n\nMy words after.\n" in merged
    assert header(merged) == header(fresh)
    assert merged.count(BEGIN) == merged.count(END) == 1
    assert merge_card(merged, fresh) == merged


def test_added_keys_stay_and_ours_are_refreshed(card, fresh):
    values = header(card)
    values["tags"] = [*values["tags"], "mine"]
    edited = (
        f"---\n{yaml.safe_dump({**values, 'language': 'en', 'datasets': ['me/more']})}---\n" + card.split("---\n")[2]
    )
    merged = header(merge_card(edited, fresh))
    assert merged["language"] == "en"
    assert merged["datasets"] == ["me/more"]
    assert merged["base_model"] == "microsoft/resnet-18"
    assert merged["model-index"] == header(fresh)["model-index"]
    assert merged["tags"] == [*header(fresh)["tags"], "mine"]  # without lp-ft, which is not true of the new model


@pytest.mark.parametrize(("asked", "kept"), [(None, "mit"), ("cc-by-4.0", "cc-by-4.0")])
def test_a_license_of_a_person_stays_unless_another_is_asked_for(tmp_path, card, asked, kept):
    edited = card.replace("license: bsd-3-clause", "license: mit")
    assert header(edited)["license"] == "mit"
    again = render_card(make_run(tmp_path / "run") / "finetune", license=asked)
    assert header(merge_card(edited, again))["license"] == kept


def test_a_header_with_nothing_new_keeps_its_bytes(card):
    edited = card.replace("---\n", "---\n# my remark\n", 1)
    assert merge_card(edited, card) == edited


def test_without_marks_the_text_is_left_alone(card, fresh):
    edited = card.replace(BEGIN, "").replace(END, "The end.")
    merged = merge_card(edited, fresh)
    assert header(merged)["base_model"] == "microsoft/resnet-18"
    assert merged.split("---\n", 2)[2] == edited.split("---\n", 2)[2]


def test_a_readme_of_a_person_gets_a_header(fresh):
    merged = merge_card("# Mine\n\nAll by myself.\n", fresh)
    assert header(merged) == header(fresh)
    assert merged.endswith("---\n# Mine\n\nAll by myself.\n")


def test_edits_inside_stay_until_there_is_something_new(card, fresh):
    edited = card.replace("# ResNet-18", "# My ResNet-18")
    assert merge_card(edited, card) == edited
    assert merge_card(edited, fresh) == fresh


def test_windows_line_ends_and_a_byte_order_mark(card, fresh):
    assert merge_card("\ufeff" + card.replace("\n", "\r\n"), fresh) == fresh


def test_a_broken_header_is_refused(card, fresh):
    with pytest.raises(InputError, match="not valid YAML"):
        merge_card(card.replace("---\n", "---\nlicense: [\n", 1), fresh)
    with pytest.raises(InputError, match="not a YAML mapping"):
        merge_card("---\njust words\n---\n", fresh)


def test_writing_over_an_edited_card(tmp_path, capsys):
    run = make_run(tmp_path / "run")
    write_card(run / "probe", tmp_path / "model")
    file = tmp_path / "model" / "README.md"
    file.write_text(file.read_text().replace("# ResNet-18", "# Mine") + "\nAfter it.\n")
    write_card(run / "finetune", tmp_path / "model")
    assert "# ResNet-18 fine-tuned on CIFAR-10" in file.read_text()
    assert file.read_text().endswith("\nAfter it.\n")
    assert "was edited between its markers" in capsys.readouterr().err
