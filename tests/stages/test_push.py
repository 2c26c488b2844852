"""The push stage by the command line, with the real client, against the loopback Hub."""

import json
import shutil

import pytest
from huggingface_hub import ModelCard
from support.hub.contents import edit, files_of, on_hub
from support.hub.fixtures import REPO, TOKEN

from hf_cifar.errors import InputError

MINE = "\n## My own words\n\nTaken at the lake.\n"


def writes(hub) -> list[str]:
    return [
        asked.endpoint for asked in hub.asked if asked.method not in ("GET", "HEAD") and asked.endpoint != "paths_info"
    ]


def test_everything_goes_in_one_commit_to_a_private_repository(push, hub, stage):
    done = push()
    assert done.status == 0, done.err
    commit = hub.repository(REPO).head
    assert commit.parent.title == "initial commit" and commit.parent.parent is None
    assert hub.repository(REPO).private and hub.count("commit") == 1
    there, here = on_hub(hub), files_of(stage / "export")
    assert there == here
    needed = {"config.json", "model.safetensors", "preprocessor_config.json", "README.md", "metrics.json", "run.yaml"}
    assert needed <= set(there) and any(name.startswith("figures/") for name in there)
    assert there["model.safetensors"] == (stage / "model" / "model.safetensors").read_bytes()
    assert commit.files["model.safetensors"].large
    assert done.summary == {
        "stage": "push",
        "export_dir": str(stage / "export"),
        "hub_model_id": REPO,
        "url": f"{hub.url}/{REPO}",
        "commit": commit.oid,
        "revision": "main",
        "private": True,
        "files": len(here),
        "bytes": sum(map(len, here.values())),
        "changed": True,
    }
    metrics = json.loads((stage / "metrics.json").read_text())
    assert commit.title == f"hf_cifar: finetune, test accuracy {int(10_000 * metrics['test']['accuracy']) / 100:.2f}%"
    assert "sending" in done.err and "MB" in done.err, "what goes, and how large it is"
    assert REPO in ModelCard(there["README.md"].decode()).text


def test_a_second_push_changes_nothing(push, hub):
    first = push()
    hub.asked.clear()
    second = push()
    assert second.status == 0 and second.summary == {**first.summary, "changed": False}
    assert writes(hub) == [] and "nothing was sent" in second.err
    assert len(hub.repository(REPO).head.history) == 2


def test_public_only_if_asked_for_and_only_when_it_is_made(push, hub):
    assert push("--public").summary["private"] is False and not hub.repository(REPO).private
    again = push()
    assert again.summary["private"] is False and "stays public" in again.err
    assert push(repo="flowers/other").summary["private"] is True, "an organisation of hers"


def test_a_branch_is_made_where_it_is_missing(push, hub):
    first = push("--revision", "try/one")
    assert first.status == 0, first.err
    assert first.summary["revision"] == "try/one" and first.summary["url"].endswith(f"{REPO}/tree/try/one")
    assert on_hub(hub) == {} and "model.safetensors" in on_hub(hub, branch="try/one")
    assert push("--revision", "try/one").summary["changed"] is False
    hub.repository(REPO).tags["v1"] = hub.repository(REPO).head
    assert "is a tag or commit" in push("--revision", "v1").error


@pytest.mark.parametrize("name", ["a b", "-x", "a..b", "x.lock", "a" * 40, "x/", "a~1"])
def test_what_is_no_name_of_a_branch_is_not_asked_for(name, push, hub):
    done = push(f"--revision={name}")
    assert done.status == 2 and "is not a valid branch name" in done.error and hub.asked == []


def test_a_dry_run_lists_what_would_go_and_sends_nothing(push, hub, stage):
    done = push("--dry-run")
    assert done.status == 0, done.err
    here = files_of(stage / "export")
    assert done.summary["dry_run"] == [
        {"path": path, "size": len(content), "what": "new"} for path, content in sorted(here.items())
    ]
    for path, content in here.items():
        assert f"{len(content):,} bytes  {path}" in done.err
    assert writes(hub) == [] and hub.store.repositories == {}
    push()
    hub.asked.clear()
    picture = stage / "figures" / "augmentation.png"
    picture.unlink()
    metrics = json.loads((stage / "metrics.json").read_text())
    (stage / "metrics.json").write_text(json.dumps({**metrics, "seed": 99}))
    listed = {item["path"]: item["what"] for item in push("--dry-run").summary["dry_run"]}
    assert listed.pop(f"figures/{picture.name}") == "gone"
    assert listed.pop("metrics.json") == "changed" and listed.pop("README.md") in ("same", "changed")
    assert set(listed.values()) == {"same"} and writes(hub) == []


def test_a_dry_run_needs_neither_token_nor_network(push, hub):
    for token in (None, TOKEN):
        with hub.down():
            done = push("--dry-run", token=token)
        assert done.status == 0 and "the Hub cannot be reached" in done.err and done.summary["commit"] is None
    assert "does not exist yet, or the token cannot see it" in push("--dry-run", token=None).err


def test_what_an_earlier_push_left_is_removed_and_nothing_else(push, hub, stage):
    for name in ("old.png", "edited.png"):
        shutil.copyfile(next((stage / "figures").glob("*.png")), stage / "figures" / name)
    push()
    assert {"figures/old.png", "figures/edited.png"} <= set(on_hub(hub))
    edit(hub, **{"figures/edited.png": "mine now", "notes.txt": "mine"})
    for name in ("old.png", "edited.png"):
        (stage / "figures" / name).unlink()
    done = push()
    assert done.status == 0 and "figures/old.png" in done.err
    there = on_hub(hub)
    assert "figures/old.png" not in there and there["figures/edited.png"] == b"mine now" and "notes.txt" in there


def test_a_card_that_was_edited_on_the_hub_is_kept(push, hub, stage):
    push()
    card = on_hub(hub)["README.md"].decode()
    edit(hub, README=card + MINE)
    done = push()
    assert done.status == 0 and on_hub(hub)["README.md"].decode().endswith(MINE)
    metrics = json.loads((stage / "metrics.json").read_text())
    metrics["test"]["accuracy"] = 0.54321
    (stage / "metrics.json").write_text(json.dumps(metrics))
    # A failure after the cards were merged leaves the folder as it was: the next try finds the same edits.
    edit(hub, README=card + MINE + "Twice.\n")
    hub.fail("commit", status=400)
    assert push().status == 1
    hub.faults.clear()
    done = push()
    assert done.status == 0, done.err
    now = on_hub(hub)["README.md"].decode()
    assert now.endswith(MINE + "Twice.\n") and "54.3" in now and "54.3" not in card
    assert (stage / "export" / "README.md").read_text() == now
    assert push().summary["changed"] is False


def test_a_card_that_was_edited_in_the_folder_is_kept_and_goes(push, hub, stage):
    push()
    card = stage / "export" / "README.md"
    card.write_text(card.read_text() + MINE)
    (stage / "export" / "LICENSE").write_text("Do what you like.")
    done = push()
    assert done.status == 0, done.err
    assert on_hub(hub)["README.md"].decode().endswith(MINE) and "LICENSE" in on_hub(hub)
    assert push().summary["changed"] is False


def test_a_card_that_was_edited_on_both_sides_is_nobodys_to_merge(push, hub, stage):
    push()
    card = stage / "export" / "README.md"
    edit(hub, README=card.read_text() + MINE)
    card.write_text(card.read_text() + "\nOther words.\n")
    done = push()
    assert done.status == 2 and "was edited both on the Hub" in done.error and str(card) in done.error
    assert on_hub(hub)["README.md"].decode().endswith(MINE) and "Other words." in card.read_text()
    assert push().status == 2, "and stays so"
    card.unlink()
    assert push().status == 0 and on_hub(hub)["README.md"].decode().endswith(MINE)


def test_a_commit_in_the_meantime_is_not_overwritten(push, hub, stage):
    push()
    card = on_hub(hub)["README.md"].decode()
    picture = next((stage / "figures").glob("*.png"))
    picture.write_bytes(picture.read_bytes() + b"0")
    hub.fail("preupload", times=1, meanwhile=lambda: edit(hub, README=card + MINE))
    done = push()
    assert done.status == 0 and "has a newer commit (412): retrying" in done.err
    there = on_hub(hub)
    assert there["README.md"].decode().endswith(MINE)
    assert there[f"figures/{picture.name}"] == picture.read_bytes()


def test_an_answer_that_is_lost_makes_no_second_commit(push, hub):
    hub.fail("commit", cut="answer", times=1)
    done = push()
    assert done.status == 0 and done.summary["changed"] is True
    titles = [commit.title for commit in hub.repository(REPO).head.history]
    assert len(titles) == 2 and hub.count("commit") == 1


def test_what_the_hub_remarks_about_the_card_is_said(push, hub):
    answer = {"errors": [], "warnings": [{"message": "unknown base model"}]}
    hub.fail("validate_yaml", status=200, body=json.dumps(answer).encode())
    done = push()
    assert (
        done.status == 0
        and "warning: Warnings while validating metadata in README.md: - unknown base model" in done.err
    )


XET_ON = "from huggingface_hub import constants; constants.HF_HUB_DISABLE_XET = False"


def test_with_xet_where_every_file_goes_inline(push, hub, stage):
    hub.store.everything_regular = True
    done = push(before=XET_ON)
    assert done.status == 0 and hub.count("xet_token") == 0 and hub.count("lfs_batch") == 0
    assert on_hub(hub) == files_of(stage / "export")


def test_without_a_xet_storage_files_go_by_http(push, hub, stage):
    done = push(before=XET_ON)
    assert done.status == 0 and "uploading by HTTP" in done.err
    assert hub.count("xet_token") == 1 and hub.count("lfs_put") > 0
    assert on_hub(hub) == files_of(stage / "export")


def test_weights_that_are_there_already_are_not_sent_again(push, hub):
    hub.fail("commit", status=400)
    assert push().status == 1
    sent = hub.count("lfs_put")
    hub.faults.clear()
    assert push().status == 0 and hub.count("lfs_put") == sent > 0


def test_where_the_token_may_come_from(push, hub, line, tmp_path):
    file = tmp_path / "key"
    file.write_text(TOKEN + "\n")
    assert push("--hub-token-file", file, token=None).status == 0
    assert push("--hub-token-file", file, token="hf_wrong").status == 0, "what is asked for wins"
    line.home.mkdir(exist_ok=True)
    (line.home / "token").write_text(TOKEN)
    try:
        assert push(token=None).status == 0
    finally:
        (line.home / "token").unlink()


def test_no_file_no_line_and_no_commit_holds_the_token(push, hub, stage, line):
    outputs = []
    hub.fail("commit", status=500)
    outputs.append(push())
    hub.faults.clear()
    outputs += [push("--debug"), push("--dry-run")]
    hub.fail("lfs_put", cut="body")
    outputs.append(push("--debug", "--revision", "other"))
    places = [path for folder in (stage.parent, line.home) for path in folder.rglob("*") if path.is_file()]
    assert len(places) > 20
    for path in places:
        assert TOKEN.encode() not in path.read_bytes(), path
    for done in outputs:
        assert TOKEN not in done.out + done.err
    for commit in hub.repository(REPO).head.history:
        assert TOKEN not in commit.title + commit.description
        assert not any(TOKEN.encode() in file.content for file in commit.files.values())
    assert any(asked.token == TOKEN for asked in hub.asked) and not any(TOKEN in asked.path for asked in hub.asked)


def test_a_token_in_a_file_is_not_pushed(push, hub, stage):
    secret = hub.account("a-secret-of-another-form", "alice")
    push("--dry-run")
    (stage / "export" / "notes.txt").write_text(f"login with {secret}")
    done = push(token=secret)
    assert done.status == 2 and "notes.txt holds the Hub token" in done.error and secret not in done.err
    assert writes(hub) == []


@pytest.mark.parametrize("where", [("--stage", "push"), ("--stage", "lpft"), ("--stage", "probe", "--push-to-hub")])
def test_a_token_is_no_option(where):
    from hf_cifar.cli import parse

    with pytest.raises(InputError, match="--hub-token-file") as refused:
        parse([*where, "--hub-model-id", REPO, "--hub-token", TOKEN])
    assert TOKEN not in str(refused.value)


def test_several_processes_are_refused(push, hub):
    done = push(before="os.environ['WORLD_SIZE'] = '2'")
    assert done.status == 2 and "--stage push runs in one process: start it without torchrun" in done.error
    assert hub.asked == []
