"""Killed, interrupted or damaged at any moment, a run ends as if nothing had happened."""

import json
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hf_cifar.training.checkpoints import COMPLETE, last_checkpoint

SLOW = pytest.mark.slow
# Everything that has a state: a probe, groups that are unfrozen late, momentum, a schedule with warm-up, averaged
# weights, augmentation and mixing, accumulated steps, checkpoints in the middle of an epoch.
EVERYTHING = [
    *("--stage", "lpft", "--num-train-epochs", 4, "--probe-num-train-epochs", 3, "--train-batch-size", 8),
    *("--unfreeze", "gradual", "--bn", "train", "--ema", 0.9, "--augment", "trivial", "--mixup", 0.3),
    *("--random-erasing", 0.3, "--gradient-accumulation-steps", 2, "--save-strategy", "steps", "--save-steps", 3),
    *("--warmup-steps", 5, "--learning-rate", 0.05, "--features", "online"),
]
SLOWLY = """
import time
from hf_cifar.training.trainer import StageTrainer
step = StageTrainer.training_step
def slow(self, *args, **kwargs):
    time.sleep(0.03)
    return step(self, *args, **kwargs)
StageTrainer.training_step = slow
"""


def outcome(folder: Path) -> dict:
    """What must be the same: weights, optimizer, schedule, history, predictions."""
    found = {}
    for stage in ("probe", "finetune"):
        part = folder / stage
        if not part.is_dir():
            continue
        found[stage, "weights"] = load_file(part / "model" / "model.safetensors")
        found[stage, "history"] = (part / "history.csv").read_text()
        found[stage, "test"] = json.loads((part / "metrics.json").read_text())["test"]
        last = last_checkpoint(part / "checkpoints")
        found[stage, "optimizer"] = torch.load(last / "optimizer.pt", weights_only=True)
        found[stage, "schedule"] = torch.load(last / "scheduler.pt", weights_only=True)
    return found


def identical(one, other) -> bool:
    """Bit for bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(identical, one, other))
    return one == other


def assert_identical(one: Path, other: Path) -> None:
    ours, theirs = outcome(one), outcome(other)
    assert ours and ours.keys() == theirs.keys()
    for name in ours:
        assert identical(ours[name], theirs[name]), name


def copy_probe(whole: Path, run: Path) -> None:
    """Begin a run with the probe of a whole one."""
    shutil.copytree(whole / "probe", run / "probe")
    for name in ("run.yaml", "splits.json"):
        shutil.copy(whole / name, run)


@pytest.fixture(scope="module")
def command_line(command_line):
    return command_line.without_pictures()


@pytest.fixture(scope="module")
def whole(command_line, image_folder, tiny_model, tmp_path_factory):
    """An uninterrupted run, its flags without the folder, and how long it took."""
    folder = tmp_path_factory.mktemp("whole")
    flags = ["--dataset", image_folder, "--model", tiny_model, "--feature-cache", folder / "cache", *EVERYTHING]
    begun = time.time()
    assert command_line.run(*flags, "--output-dir", folder / "run", before=SLOWLY) == 0, command_line.err
    return folder / "run", flags, time.time() - begun


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_sigkill_at_random_moments_ends_in_the_same_bits(kills, whole, command_line, tmp_path):
    expected, flags, seconds = whole
    rng = random.Random(time.time_ns())
    killed, moments = 0, []
    while killed < kills:
        pid = command_line.start(*flags, "--output-dir", tmp_path / "run", "--resume", before=SLOWLY)
        moments.append(rng.uniform(0.1, 0.5) * seconds)
        time.sleep(moments[-1])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        status = command_line.wait()
        if status == 0:  # it was done before the kill: begin again, and kill sooner
            shutil.rmtree(tmp_path / "run")
            seconds *= 0.7
            continue
        assert status == -signal.SIGKILL
        killed += 1
    assert command_line.run(*flags, "--output-dir", tmp_path / "run", "--resume") == 0, command_line.err
    print("killed after", [round(moment, 2) for moment in moments], "of", round(seconds, 2), "seconds")
    assert_identical(tmp_path / "run", expected)


@pytest.mark.parametrize("step", [*(pytest.param(step, marks=SLOW) for step in (1, 7, 9, 14)), 16])
def test_sigkill_at_a_step_of_fine_tuning_ends_in_the_same_bits(step, whole, command_line, tmp_path):
    """In the middle of an epoch, just after its last step, and while later groups are still frozen."""
    expected, flags, _ = whole
    kill = f"""
import os, signal
from transformers import TrainerCallback
from hf_cifar.training.finetune.trainer import FinetuneTrainer
evaluate = FinetuneTrainer.evaluate
step = FinetuneTrainer.training_step
def killed(self, *args, **kwargs):
    if self.state.global_step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)
def killed_evaluating(self, *args, **kwargs):
    if self.state.global_step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return evaluate(self, *args, **kwargs)
FinetuneTrainer.training_step = killed
FinetuneTrainer.evaluate = killed_evaluating
"""
    copy_probe(expected, tmp_path / "run")
    there = [*flags, "--output-dir", tmp_path / "run", "--resume"]
    assert command_line.run(*there, before=kill) == -signal.SIGKILL
    assert command_line.run(*there) == 0, command_line.err
    assert_identical(tmp_path / "run", expected)


def test_sigkill_while_a_checkpoint_is_completed_behind_later_steps_ends_in_the_same_bits(
    whole, command_line, tmp_path
):
    expected, flags, _ = whole
    kill = """
import os, signal, threading
from hf_cifar.training import checkpoints
from hf_cifar.training.finetune.trainer import FinetuneTrainer
later = threading.Event()
mark, step = checkpoints._mark, FinetuneTrainer.training_step
def killed(folder):
    if folder.name == "checkpoint-9" and folder.parents[1].name == "finetune":
        os._exit(3) if not later.wait(10) else os.kill(os.getpid(), signal.SIGKILL)
    mark(folder)
def seen(self, *args, **kwargs):
    if self.state.global_step == 10:
        later.set()
    return step(self, *args, **kwargs)
checkpoints._mark = killed
FinetuneTrainer.training_step = seen
"""
    copy_probe(expected, tmp_path / "run")
    there = [*flags, "--output-dir", tmp_path / "run", "--resume"]
    assert command_line.run(*there, before=kill) == -signal.SIGKILL
    folder = tmp_path / "run" / "finetune" / "checkpoints"
    assert (folder / "checkpoint-9" / "model.safetensors").is_file()
    assert last_checkpoint(folder).name == "checkpoint-8"
    assert command_line.run(*there) == 0, command_line.err
    assert_identical(tmp_path / "run", expected)


@pytest.mark.parametrize(
    ("step", "number", "status"),
    [
        (6, signal.SIGTERM, 143),
        (8, signal.SIGINT, 130),
        pytest.param(6, signal.SIGINT, 130, marks=SLOW),
        pytest.param(8, signal.SIGTERM, 143, marks=SLOW),
    ],
)
def test_a_signal_makes_a_checkpoint_and_says_so(number, status, step, whole, command_line, tmp_path):
    expected, flags, _ = whole
    raise_signal = f"""
import os
from hf_cifar.training.finetune.trainer import FinetuneTrainer
step = FinetuneTrainer.training_step
sent = []
def asked(self, *args, **kwargs):
    if self.state.global_step == {step - 1} and not sent:
        sent.append(os.kill(os.getpid(), {int(number)}))
    return step(self, *args, **kwargs)
FinetuneTrainer.training_step = asked
"""
    there = [*flags, "--output-dir", tmp_path / "run", "--resume", "--save-steps", 1000]
    assert command_line.run(*there, before=raise_signal) == status
    last = command_line.err.strip().split("\n")[-1]
    assert (
        last.startswith(f"interrupted by {number.name}: checkpoint checkpoint-{step} is saved") and "--resume" in last
    )
    assert command_line.out == ""
    assert last_checkpoint(tmp_path / "run" / "finetune" / "checkpoints").name == f"checkpoint-{step}"
    assert command_line.run(*there) == 0, command_line.err
    assert_identical(tmp_path / "run", expected)


def test_a_signal_before_training_ends_the_run_too(flags, command_line):
    ask = """
import os, signal
from hf_cifar.data import sources
def asked(*args):
    os.kill(os.getpid(), signal.SIGTERM)
from hf_cifar.stages import training_data as stages
stages.load_source = asked
"""
    assert command_line.run(*flags, before=ask) == 143
    assert command_line.err.startswith("interrupted by SIGTERM") and "checkpoint" not in command_line.err


@pytest.fixture
def stopped(whole, command_line, tmp_path):
    """A run that was stopped in the middle of fine-tuning, with two whole checkpoints; the flags that go on."""
    _, flags, _ = whole
    kill = """
import os, signal
from hf_cifar.training.finetune.trainer import FinetuneTrainer
step = FinetuneTrainer.training_step
def killed(self, *args, **kwargs):
    if self.state.global_step == 10:
        self.checkpoints.wait()
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)
FinetuneTrainer.training_step = killed
"""
    there = [*flags, "--output-dir", tmp_path / "run", "--resume"]
    assert command_line.run(*there, before=kill) == -signal.SIGKILL
    folder = tmp_path / "run" / "finetune" / "checkpoints"
    assert last_checkpoint(folder).name == "checkpoint-9"
    return folder, there


@pytest.mark.parametrize(
    "damage",
    [
        "no mark",
        "a file is cut",
        *(pytest.param(name, marks=SLOW) for name in ("a file is missing", "the mark is cut")),
    ],
)
def test_half_a_checkpoint_is_never_taken_for_a_whole_one(damage, stopped, whole, command_line):
    folder, there = stopped
    newest = folder / "checkpoint-9"
    if damage == "no mark":
        (newest / COMPLETE).unlink()
        (newest / "model.safetensors").write_bytes(b"half")
    elif damage == "a file is missing":
        (newest / "optimizer.pt").unlink()
    elif damage == "a file is cut":
        content = (newest / "ema.safetensors").read_bytes()
        (newest / "ema.safetensors").write_bytes(content[: len(content) // 2])
    else:
        (newest / COMPLETE).write_text('{"model.safe')
    assert last_checkpoint(folder).name == "checkpoint-8"
    assert command_line.run(*there) == 0, command_line.err
    assert_identical(folder.parents[1], whole[0])


def test_only_the_newest_checkpoints_and_the_best_are_kept(whole):
    folder = whole[0] / "finetune"
    best = json.loads((folder / "metrics.json").read_text())["train"]["chosen"]["step"]
    kept = {int(path.name.removeprefix("checkpoint-")) for path in (folder / "checkpoints").iterdir()}
    assert kept == {15, 16} | {best}


def test_a_kill_between_two_checkpoints_loses_neither(command_line, flags, tmp_path):
    """Before the newer one is marked, the older one must still be there."""
    kill = """
import os, signal
from hf_cifar.training import checkpoints
mark = checkpoints._mark
def killed(folder):
    if folder.name == "checkpoint-8":
        os.kill(os.getpid(), signal.SIGKILL)
    mark(folder)
checkpoints._mark = killed
"""
    there = [*flags, "--stage", "finetune", "--save-total-limit", 1]
    assert command_line.run(*there, before=kill) == -signal.SIGKILL
    folder = tmp_path / "run" / "finetune" / "checkpoints"
    assert (folder / "checkpoint-8" / "model.safetensors").is_file()
    assert last_checkpoint(folder).name == "checkpoint-4"
    assert command_line.run("--output-dir", tmp_path / "run", "--resume") == 0, command_line.err


def test_a_resume_with_other_options_is_refused_with_a_sentence(stopped, command_line):
    _, there = stopped
    assert command_line.run(*there, "--unfreeze", "all") == 2
    assert "has finetune.unfreeze 'gradual', not 'all'" in command_line.err


def test_a_resume_of_another_stage_is_refused_with_a_sentence(flags, command_line, tmp_path):
    assert command_line.run(*flags) == 0, command_line.err
    assert command_line.run(*flags, "--stage", "lpft", "--resume") == 2
    assert "is of --stage probe, not lpft" in command_line.err and "--stage finetune" in command_line.err
    assert command_line.run("--output-dir", tmp_path / "run", "--stage", "finetune", "--num-train-epochs", 1) == 0
    assert command_line.run("--output-dir", tmp_path / "run", "--stage", "lpft", "--resume") == 0, command_line.err
    assert command_line.err.count("is finished already") == 2
