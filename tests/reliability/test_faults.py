"""Faults at every moment of a run: each file of a stopped or finished run is damaged, and the run is resumed.

A resumed run either comes to the result of one that nothing happened to, bit for bit, or it is refused in one line.
Anything else is a result that is lost. `-m slow -s` tries every file and prints the counts.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

FLAGS = [
    *("--stage", "lpft", "--num-train-epochs", 3, "--probe-num-train-epochs", 3, "--train-batch-size", 8),
    *("--unfreeze", "gradual", "--ema", 0.9, "--augment", "standard", "--learning-rate", 0.05),
    *("--save-strategy", "steps", "--save-steps", 3, "--probe-train-batch-size", 8),
]
# Where a run is killed: by the step of a stage at which it happens.
KILL = """
import os, signal
from hf_cifar.training.trainer import StageTrainer
step = StageTrainer.training_step
def killed(self, *args, **kwargs):
    if ("probe" if type(self).__name__ == "GridTrainer" else "finetune", self.state.global_step) == {moment!r}:
        self.checkpoints.wait()
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)
StageTrainer.training_step = killed
"""
MOMENTS = {
    "probing": ("probe", 8),
    "before fine-tuning": ("finetune", 0),
    "fine-tuning": ("finetune", 10),
    "done": None,
}


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _garble(file: Path) -> None:
    file.write_bytes(random.Random(0).randbytes(file.stat().st_size))


DAMAGES = {
    "a bit flipped": _flip,
    "cut in half": _cut,
    "emptied": lambda file: os.truncate(file, 0),
    "removed": lambda file: file.unlink(),
    "garbled": _garble,
}


class Runs:
    """Runs that were stopped at each moment, and the outcome of one that was not."""

    def __init__(self, folder: Path, flags: list, command_line) -> None:
        self.folder, self.command_line = folder, command_line
        self.flags = [*flags, *FLAGS]
        for name, moment in MOMENTS.items():
            before = KILL.format(moment=moment) if moment else ""
            status = self.run(folder / name, before=before)
            assert status == (-9 if moment else 0), command_line.err
        self.expected = outcome(folder / "done" / "run")

    def run(self, place: Path, *more, before: str = "") -> int:
        """Run in `place/run` with the feature cache `place/cache`, which stand at one path whatever `place` is."""
        self.start(place, *more, before=before)
        return self.command_line.wait()

    def start(self, place: Path, *more, before: str = "") -> int:
        there = self.folder / "there"
        there.unlink(missing_ok=True)
        place.mkdir(exist_ok=True)
        there.symlink_to(place)
        places = ["--output-dir", there / "run", "--feature-cache", there / "cache"]
        return self.command_line.start(*self.flags, *places, *more, before=before)

    def files(self, moment: str) -> list[str]:
        place = self.folder / moment
        shown = (path.relative_to(place) for path in place.rglob("*") if path.is_file() and path.stat().st_size)
        return sorted(str(path) for path in shown if path.name not in ("lock", ".lock", ".lock-holder"))

    def after(self, moment: str, file: str, damage: str, copy: Path) -> str:
        """What comes of resuming a copy of a run in which one file was damaged: same, refused, or lost and how."""
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder / moment, copy)
        DAMAGES[damage](copy / file)
        status, lines = self.run(copy, "--resume"), self.command_line.err.strip().splitlines()
        if "Traceback" in self.command_line.err:
            return f"lost: {lines[-1]}"
        if status in (1, 2) and lines and lines[-1].startswith("error: "):
            return "refused"
        if status:
            return f"lost: status {status}, {lines[-1:]}"
        return "same" if outcome(copy / "run") == self.expected else "lost: another result"


def outcome(run: Path) -> dict:
    """What a run is for: the weights and the measurements of its stages."""
    found = {}
    for stage in ("probe", "finetune"):
        metrics = json.loads((run / stage / "metrics.json").read_text())
        weights = hashlib.sha256((run / stage / "model" / "model.safetensors").read_bytes()).hexdigest()
        found[stage] = weights, metrics["test"], metrics["validation"]
    return found


@pytest.fixture(scope="module")
def runs(command_line, image_folder, tiny_model, tmp_path_factory):
    flags = ["--dataset", image_folder, "--model", tiny_model]
    return Runs(tmp_path_factory.mktemp("runs"), flags, command_line.without_pictures())


QUICK = [
    ("fine-tuning", "run/finetune/checkpoints/checkpoint-9/model.safetensors", "a bit flipped", "same"),
    ("fine-tuning", "run/finetune/checkpoints/checkpoint-9/trainer_state.json", "garbled", "same"),
    ("fine-tuning", "run/probe/model/model.safetensors", "a bit flipped", "same"),
    ("before fine-tuning", "run/probe/metrics.json", "cut in half", "same"),
    ("before fine-tuning", "run/splits.json", "a bit flipped", "refused"),
    ("before fine-tuning", "run/run.yaml", "removed", "refused"),
    ("done", "run/finetune/model/model.safetensors", "removed", "same"),
    ("done", "run/probe/model/config.json", "emptied", "same"),
]


@pytest.mark.parametrize(("moment", "file", "damage", "expected"), QUICK)
def test_a_damaged_file_is_noticed(moment, file, damage, expected, runs, tmp_path):
    assert runs.after(moment, file, damage, tmp_path / "copy") == expected


@pytest.mark.parametrize("checkpoint", ["checkpoint-99999", "checkpoint-abc", "checkpoint-"])
def test_a_foreign_checkpoint_is_not_taken(checkpoint, runs, tmp_path):
    shutil.copytree(runs.folder / "fine-tuning", tmp_path / "copy")
    foreign = tmp_path / "copy" / "run" / "finetune" / "checkpoints" / checkpoint
    foreign.mkdir()
    (foreign / "model.safetensors").write_bytes(b"foreign")
    assert runs.run(tmp_path / "copy", "--resume") == 0
    assert outcome(tmp_path / "copy" / "run") == runs.expected


@pytest.mark.parametrize("signals", [2, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(1200)], id="60")])
def test_a_signal_at_any_moment_ends_the_run_and_loses_nothing(signals, runs, tmp_path):
    rng, answers = random.Random(0), Counter()
    begun = time.perf_counter()
    assert runs.run(tmp_path / "whole") == 0
    seconds = time.perf_counter() - begun
    for count in range(signals):
        number = rng.choice([signal.SIGINT, signal.SIGTERM])
        place = tmp_path / str(count)
        pid = runs.start(place)
        time.sleep(rng.uniform(0.3, seconds))  # before, it may not listen yet
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        status = runs.command_line.wait()
        answers[status] += 1
        assert status in (0, 128 + number), runs.command_line.err
        assert runs.run(place, "--resume") == 0, runs.command_line.err
        assert outcome(place / "run") == runs.expected
        shutil.rmtree(place)
    print(f"\n{signals} signals: exit statuses {dict(answers)}, all resumed to the same result")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("moment", MOMENTS)
def test_no_fault_in_any_file_loses_a_result(moment, runs, tmp_path):
    counts, lost = Counter(), []
    cases = [(file, damage) for file in runs.files(moment) for damage in DAMAGES]
    for file, damage in random.Random(0).sample(cases, min(80, len(cases))):
        result = runs.after(moment, file, damage, tmp_path / "copy")
        counts[result.partition(":")[0]] += 1
        if result.startswith("lost"):
            lost.append(f"{file} {damage}: {result}")
    print(f"\n{moment}: {sum(counts.values())} faults tried of {len(cases)}, {dict(counts)}")
    assert not lost, "\n".join(lost)
