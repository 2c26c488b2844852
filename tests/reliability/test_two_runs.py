"""Two runs in one folder: the second is refused, whatever it asks for, and the first is not disturbed."""

import json
import time

import pytest

SLOWLY = """
import time
from hf_cifar.training.trainer import StageTrainer
step = StageTrainer.training_step
def slow(self, *args, **kwargs):
    time.sleep(0.05)
    return step(self, *args, **kwargs)
StageTrainer.training_step = slow
"""


@pytest.mark.parametrize("again", [[], ["--resume"], ["--overwrite"]], ids=["again", "resume", "overwrite"])
def test_the_second_is_refused_while_the_first_goes_on(again, flags, command_line, warm_python, tmp_path):
    command = [*flags, "--stage", "finetune"]
    command_line = command_line.without_pictures()
    pid = command_line.start(*command, before=SLOWLY)
    holder, until = tmp_path / "run" / ".lock-holder", time.time() + 60
    while not holder.is_file() and time.time() < until:
        time.sleep(0.02)
    arguments = list(map(str, [*command, *again]))
    second = warm_python.run(f"import sys; from hf_cifar.cli import main; sys.exit(main({arguments!r}))")
    assert second.returncode == 2
    assert f"in use by process {pid}" in second.stderr and second.stderr.count("\n") == 1
    assert command_line.wait() == 0, command_line.err
    metrics = json.loads((tmp_path / "run" / "finetune" / "metrics.json").read_text())
    assert json.loads(command_line.out.splitlines()[-1])["accuracy"] == metrics["test"]["accuracy"]
