"""The header of a card."""

import pytest
from support.made_run import DIGITS, HELD_OUT, MINI, from_hub, make_run

from hf_cifar.hub.card.data import CardData
from hf_cifar.hub.card.metadata import eval_results, license_of, metadata, model_name, tags


def data(tmp_path, stage="finetune", hub_model_id=None, license=None, **given) -> CardData:
    return CardData.read(make_run(tmp_path / "run", **given) / stage, hub_model_id, license)


def test_a_test_split_that_is_not_the_published_one_is_said_to_be(tmp_path):
    [published, *_] = eval_results(data(tmp_path))
    assert (published.dataset_split, published.dataset_args) == ("test", None)
    [held_out, *_] = eval_results(data(tmp_path / "other", test_origin=HELD_OUT))
    assert held_out.dataset_split == "train"
    assert held_out.dataset_args == {"rows": "10% of train, held out with seed 0"}


@pytest.mark.parametrize(("dataset", "kind"), [("me/photos", "me/photos"), ("photos", "local"), (DIGITS, "digits")])
def test_only_a_dataset_of_the_hub_is_linked(tmp_path, dataset, kind):
    values = metadata(data(tmp_path, dataset_id=dataset, revision=None))
    assert values.eval_results[0].dataset_type == kind
    assert values.datasets == ([dataset] if kind == dataset else None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "bsd-3-clause"),
        ({"license": "mit"}, "mit"),
        ({"base_model": "me/base", "weights_origin": from_hub("me/base")}, None),
        ({"base_model": None, "weights_origin": MINI}, "apache-2.0"),
    ],
)
def test_licenses(tmp_path, given, expected):
    assert license_of(data(tmp_path, **given)) == expected


def test_tags_tell_the_stages_and_solvers_apart(tmp_path):
    assert tags(data(tmp_path))[-1] == "lp-ft"
    assert tags(data(tmp_path / "a", stages=("finetune",)))[-1] == "fine-tuned"
    probe = tags(data(tmp_path / "b", "probe", stages=("probe",), solver="lbfgs"))
    assert probe[-1] == "linear-probe" and "generated_from_trainer" not in probe


def test_names_of_models(tmp_path):
    assert model_name(data(tmp_path, hub_model_id="me/x")) == "x"
    assert model_name(data(tmp_path / "other")) == "resnet-18-cifar10-finetune"
