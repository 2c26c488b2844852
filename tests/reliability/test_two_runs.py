"""Two runs in one folder: the second is refused, whatever it asks for, and the first is not disturbed."""

import json
import time

# The first run takes no step before this file is there.
WAITING = """
import time
from pathlib import Path
from hf_cifar.training.trainer import StageTrainer
step = StageTrainer.training_step
def waiting(self, *args, **kwargs):
    until = time.time() + 120
    while not Path({go!r}).exists() and time.time() < until:
        time.sleep(0.02)
    return step(self, *args, **kwargs)
StageTrainer.training_step = waiting
"""
AGAIN = ([], ["--resume"], ["--overwrite"])
ASKED = "import sys; from hf_cifar.cli import main; sys.exit(main({}))"


def test_the_second_is_refused_while_the_first_goes_on(flags, command_line, warm_python, tmp_path):
    command = [*flags, "--stage", "finetune"]
    command_line = command_line.without_pictures()
    pid = command_line.start(*command, before=WAITING.format(go=str(tmp_path / "go")))
    try:
        holder, until = tmp_path / "run" / ".lock-holder", time.time() + 60
        while not holder.is_file() and time.time() < until:
            time.sleep(0.02)
        second = [warm_python.start(ASKED.format(list(map(str, [*command, *again])))) for again in AGAIN]
        statuses = [process.wait() for process in second]
    finally:
        (tmp_path / "go").touch()
        first = command_line.wait()
    assert statuses == [2, 2, 2]
    for process in second:
        assert f"in use by process {pid}" in process.err and process.err.count("\n") == 1
    assert first == 0, command_line.err
    metrics = json.loads((tmp_path / "run" / "finetune" / "metrics.json").read_text())
    assert json.loads(command_line.out.splitlines()[-1])["accuracy"] == metrics["test"]["accuracy"]
