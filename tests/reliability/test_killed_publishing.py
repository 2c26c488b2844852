"""`kill -9` of an export and of a push at any moment: what is half done never counts as done."""

import random
import shutil
import time

import pytest
from support.hub.contents import files_of, on_hub

# Ends the process without a word, as SIGKILL does, after so many seconds.
END = "import signal; signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.setitimer(signal.ITIMER_REAL, {seconds})\n"
UNCHECKED = "from hf_cifar.hub import export; export.check_predictions = lambda *_: 0.0\n"
KILLS = [pytest.param(4, id="4"), pytest.param(40, id="40", marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]


@pytest.mark.parametrize("kills", KILLS)
def test_an_export_is_whole_or_not_there(kills, line, stage):
    shutil.rmtree(stage / "export")
    command, before = ("--stage", "export", "--checkpoint", stage), UNCHECKED
    begun = time.perf_counter()
    assert line(*command, before=before).status == 0
    seconds, expected = time.perf_counter() - begun, files_of(stage / "export")
    rng, killed = random.Random(0), 0
    for _ in range(kills):
        shutil.rmtree(stage / "export", ignore_errors=True)
        status = line(*command, before=before + END.format(seconds=rng.uniform(0.02, seconds))).status
        killed += status != 0
        assert not (stage / "export").exists() or files_of(stage / "export") == expected
    print(f"{killed} of {kills} exports killed")
    assert line(*command, before=before).status == 0
    assert files_of(stage / "export") == expected


@pytest.mark.parametrize("kills", KILLS)
def test_a_push_is_one_commit_or_none(kills, push, hub, stage):
    begun = time.perf_counter()
    assert push().status == 0
    seconds = time.perf_counter() - begun
    rng, killed = random.Random(0), 0
    for number in range(kills):
        repo = f"alice/killed-{number}"
        killed += push(repo=repo, before=END.format(seconds=rng.uniform(0.02, seconds))).status != 0
        there = on_hub(hub, repo) if ("model", repo) in hub.store.repositories else {}
        assert push(repo=repo).status == 0
        expected = files_of(stage / "export")
        assert on_hub(hub, repo) == expected and len(hub.repository(repo).head.history) == 2
        assert there in ({}, expected)
    print(f"{killed} of {kills} pushes killed")
