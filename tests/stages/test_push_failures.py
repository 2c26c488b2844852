"""Every way in which a push fails: one line, the right status, nothing half done, and the next try goes through."""

import json
import shlex

import pytest
from support.hub.contents import edit, files_of, on_hub
from support.hub.fixtures import REPO, TOKEN

ADVICE = "nothing local is lost, retry with: "
SERVER_SIDE = ["whoami", "info", "create", "tree", "validate_yaml", "preupload", "lfs_batch", "lfs_put", "commit"]


@pytest.fixture
def fails(push, hub, stage):
    """`fails(status, "words", …)` pushes, and looks at all that must hold of a push that came to nothing."""

    def check(status: int, *words: str, repo: str = REPO, **options):
        before = hub.store.repositories[("model", repo)].head if ("model", repo) in hub.store.repositories else None
        done = push(*options.pop("arguments", ()), repo=repo, **options)
        assert done.status == status, done.err
        for word in words:
            assert word in done.error, done.error
        assert ADVICE in done.error
        found = hub.store.repositories.get(("model", repo))
        newest = found.head if found else None
        assert newest is before or (before is None and newest.title == "initial commit"), "nothing half-pushed"
        assert (stage / "model" / "model.safetensors").is_file()
        assert done.waited < 60
        return done

    return check


@pytest.fixture
def then_works(push, hub, stage, line):
    """The command that the line names, once the fault is gone."""

    def check(done, **options):
        hub.faults.clear()
        command = shlex.split(done.error.partition(ADVICE)[2])
        assert command[:3] == ["hf-cifar", "--stage", "push"]
        again = line(*command[1:], **options)
        assert again.status == 0, again.err
        assert on_hub(hub) == files_of(stage / "export")

    return check


@pytest.mark.parametrize("endpoint", SERVER_SIDE)
def test_a_fault_of_the_server_is_waited_for_and_then_told(endpoint, fails, then_works, hub):
    hub.fail(endpoint, status=503)
    words = "the Hub's storage rejected a file" if endpoint == "lfs_put" else "the Hub has a server error"
    done = fails(1, f"{words} (503)")
    assert len(done.waits) >= 3 and done.waits[0] < done.waits[-1]
    assert "retrying in" in done.err or "Retrying in" in done.err
    assert 20 < done.waited < 60
    then_works(done)


@pytest.mark.parametrize("endpoint", SERVER_SIDE)
def test_a_fault_that_passes_is_waited_out(endpoint, push, hub, stage):
    hub.fail(endpoint, status=502, times=2)
    done = push()
    assert done.status == 0, done.err
    assert 0 < done.waited < 60 and on_hub(hub) == files_of(stage / "export")


@pytest.mark.parametrize("endpoint", ["whoami", "create", "preupload", "commit"])
def test_the_hub_says_how_long_to_wait(endpoint, push, hub):
    hub.fail(endpoint, status=429, headers={"Retry-After": "7"}, times=1)
    done = push()
    assert done.status == 0, done.err
    assert any(7 <= wait <= 8 for wait in done.waits), done.waits


def test_to_wait_too_long_is_left_to_the_person(fails, then_works, hub):
    hub.fail("commit", status=429, headers={"Retry-After": "3000"})
    done = fails(1, "is limiting the request rate (429, retry after 3,000 s)")
    assert done.waits == []
    then_works(done)


@pytest.mark.parametrize(
    ("endpoint", "fault", "words"),
    [
        ("commit", {"status": 413, "message": "payload too large"}, "payload too large"),
        ("preupload", {"status": 403, "message": "Private repository storage limit reached"}, "storage limit reached"),
        ("create", {"status": 402, "message": "Payment required"}, "Payment required"),
    ],
)
def test_no_room(endpoint, fault, words, fails, then_works, hub):
    hub.fail(endpoint, **fault)
    done = fails(1, "the storage quota does not suffice", words)
    assert done.waits == [], "waiting makes no room"
    then_works(done)


def test_no_room_for_large_files(fails, then_works, hub):
    hub.store.room = 1000
    done = fails(1, "the storage quota does not suffice", "Your storage limit is reached")
    hub.store.room = None
    then_works(done)


@pytest.mark.parametrize("endpoint", ["lfs_put", "commit", "whoami", "tree"])
def test_a_connection_that_is_cut_in_the_middle(endpoint, fails, then_works, push, hub):
    hub.fail(endpoint, cut="body")
    done = fails(1, "closed the connection")
    then_works(done)


@pytest.mark.parametrize("endpoint", ["lfs_put", "commit", "whoami", "tree"])
def test_a_connection_that_is_cut_once(endpoint, push, hub, stage):
    hub.fail(endpoint, cut="body", times=1)
    assert push().status == 0 and on_hub(hub) == files_of(stage / "export")


IMPATIENT = "import hf_cifar.hub.failures as f; f.TIMEOUT_SECONDS = 0.2"


@pytest.mark.parametrize("endpoint", ["whoami", "info", "tree", "preupload"])
def test_a_server_that_says_nothing(endpoint, fails, then_works, hub):
    hub.fail(endpoint, seconds=0.4)
    then_works(fails(1, "did not respond in time", before=IMPATIENT))


def test_a_commit_that_is_there_before_the_answer_to_it(push, hub, stage):
    hub.fail("commit", seconds=0.4)
    done = push(before=IMPATIENT)
    assert done.status == 0 and done.summary["changed"] is True, done.err
    assert len(hub.repository(REPO).head.history) == 2 and on_hub(hub) == files_of(stage / "export")


def test_no_network(fails, then_works, hub):
    with hub.down():
        done = fails(1, "cannot reach the Hub at http://127.0.0.1")
    assert hub.asked == [] and done.waits == []
    then_works(done)


def test_a_network_that_goes_away(fails, then_works, hub):
    hub.fail("validate_yaml", times=1, meanwhile=hub.stop)
    done = fails(1, "cannot be reached")
    hub._start(hub.port)
    then_works(done)


def test_offline_by_choice(fails, then_works, hub):
    done = fails(2, "HF_HUB_OFFLINE is set", before="os.environ['HF_HUB_OFFLINE'] = '1'")
    assert hub.asked == []
    then_works(done)


def test_no_token(fails, then_works, hub):
    done = fails(2, "HF_TOKEN", "hf auth login", "--hub-token-file", token=None)
    assert hub.asked == []
    then_works(done)


@pytest.mark.parametrize("content", [None, "", "two words\n", "schlüssel", "a\x00b"])
def test_a_token_that_can_be_none(content, fails, hub, tmp_path):
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    done = fails(2, "--hub-token-file", arguments=["--hub-token-file", file])
    assert hub.asked == [] and not (content and content.strip() in done.err)


def test_a_token_that_the_hub_does_not_know(fails, then_works, hub):
    done = fails(2, "does not accept the token (401)", "https://huggingface.co/settings/tokens", token="hf_stolen")
    assert "hf_stolen" not in done.err and done.waits == []
    then_works(done)


def test_a_token_that_may_only_read(fails, then_works, hub):
    hub.account("hf_reader", "alice", role="read")
    then_works(fails(2, "the token of alice is read-only", token="hf_reader"))


def test_somebody_elses_name(fails, hub):
    done = fails(2, "alice, who cannot write to bob", "alice/colours or flowers/colours", repo="bob/colours")
    assert hub.count("create") == 0 and done.waits == []


@pytest.mark.parametrize("endpoint", ["create", "preupload", "commit"])
def test_a_right_that_the_hub_refuses(endpoint, fails, then_works, hub):
    hub.fail(endpoint, status=403, message="you may not")
    done = fails(2, "the token cannot write to alice (403)")
    assert done.waits == []
    then_works(done)


def test_a_name_that_is_taken_by_a_dataset(fails, then_works, hub):
    hub.store.create("dataset", REPO, False, TOKEN)
    hub.fail("create", status=409, message="another repository has this name")
    then_works(fails(2, f"--hub-model-id {REPO}: the name is taken by a dataset"))


def test_a_repository_that_somebody_makes_in_the_meantime(push, hub):
    hub.fail("create", times=1, meanwhile=lambda: hub.store.create("model", REPO, True, TOKEN))
    assert push().status == 0 and hub.count("create") == 1


@pytest.mark.parametrize(
    "name", ["colours", "a/b/c", "alice/a--b", "alice/x.git", "alice/a b", "/x", "alice/" + "x" * 100]
)
def test_what_is_no_name_of_a_repository(name, fails, hub):
    fails(2, f"--hub-model-id {name} is not a valid repository name", repo=name)
    assert hub.asked == []


def test_no_name_at_all(line, stage, hub):
    done = line("--stage", "push", "--checkpoint", stage)
    assert done.status == 2 and "--hub-model-id is missing" in done.error and hub.asked == []


def test_a_card_that_the_hub_refuses(fails, then_works, hub):
    answer = json.dumps({"errors": [{"message": '"license" must be known'}], "warnings": []}).encode()
    hub.fail("validate_yaml", status=400, body=answer)
    then_works(fails(2, 'the Hub rejected the card: "license" must be known'))


def test_an_answer_that_is_no_json(fails, then_works, hub):
    hub.fail("validate_yaml", status=500, body=b"<html>Bad gateway</html>")
    then_works(fails(1, "sent an invalid response"))


def test_a_request_that_the_hub_refuses(fails, then_works, hub):
    hub.fail("commit", status=400, message="the commit is odd")
    then_works(fails(1, "refused the request (400: the commit is odd)"))


def test_a_link_to_the_storage_that_has_expired(push, hub):
    hub.fail("lfs_put", status=403, times=1)
    done = push()
    assert done.status == 0 and "storage rejected a file (403): retrying" in done.err


def test_somebody_is_always_faster(push, fails, hub):
    assert push().status == 0
    hub.fail("preupload", meanwhile=lambda: edit(hub, **{"notes.txt": str(len(hub.asked))}))
    done = push("--license", "mit")
    assert done.status == 1 and "has a newer commit (412)" in done.error
    assert hub.repository(REPO).head.title == "Update README.md"


def test_a_push_after_training_is_asked_about_before_it(line, hub, image_folder, tmp_path):
    flags = ["--stage", "probe", "--dataset", image_folder, "--recipe", "demo", "--output-dir", tmp_path / "run"]
    flags += ["--push-to-hub", "--hub-model-id"]
    assert "needs a Hub token" in refused(line(*flags, REPO, token=None), 2)
    assert "does not accept the token" in refused(line(*flags, REPO, token="hf_stolen"), 2)
    assert "who cannot write to bob" in refused(line(*flags, "bob/x"), 2)
    assert "is not a valid repository name" in refused(line(*flags, "colours"), 2)
    with hub.down():
        assert "cannot reach the Hub" in refused(line(*flags, REPO), 1)
    assert not (tmp_path / "run").exists() and {asked.endpoint for asked in hub.asked} == {"whoami"}


def refused(done, status: int) -> str:
    assert done.status == status and done.err.count("\n") == 1, done.err
    return done.error
