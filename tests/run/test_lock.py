"""A folder belongs to one process at a time."""

import os
import signal
import subprocess
import sys

import pytest

from hf_cifar.errors import InputError
from hf_cifar.run.lock import locked, refuse_if_locked

HOLD = """
import sys, time
from pathlib import Path
from hf_cifar.run.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_another_process_is_refused_and_told_who_holds_it(holder, tmp_path):
    with pytest.raises(InputError, match=f"in use by process {holder.pid} since"), locked(tmp_path / "run"):
        pass
    with pytest.raises(InputError, match="in use by"):
        refuse_if_locked(tmp_path / "run")


def test_the_lock_of_a_killed_process_is_no_obstacle(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    refuse_if_locked(tmp_path / "run")
    with locked(tmp_path / "run"):
        pass


def test_it_can_be_held_again_and_a_new_folder_is_made(tmp_path):
    refuse_if_locked(tmp_path / "new")
    assert not (tmp_path / "new").exists(), "to ask makes nothing"
    for _ in range(2):
        with locked(tmp_path / "new"):
            assert (tmp_path / "new").is_dir()
