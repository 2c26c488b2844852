import os
import struct
import subprocess
import sys

import pytest

from hf_cifar.utils.progress import progress, say


def test_items_come_through_and_no_bar_is_drawn_off_a_terminal(capsys):
    assert list(progress([1, 2, 3], "read", "image")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("rank", ["0", "1"])
def test_on_a_terminal_the_main_process_draws_a_bar(rank):
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    code = "from hf_cifar.utils.progress import progress; list(progress(range(3), 'read', 'image'))"
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env={**os.environ, "RANK": rank}) as process:
        assert process.wait(60) == 0
    os.close(theirs)
    try:
        drawn = os.read(ours, 10_000)
    except OSError:  # nothing was written, and the other end is closed
        drawn = b""
    os.close(ours)
    assert (b"read" in drawn) is (rank == "0")


def test_lines_go_to_standard_error_once(capsys, monkeypatch):
    say("hello")
    assert capsys.readouterr() == ("", "hello\n")
    monkeypatch.setenv("RANK", "1")
    say("hello")
    assert capsys.readouterr() == ("", "")
