"""Progress and log lines: on a terminal, in a log file, in a notebook, and in processes other than the main one."""

import io
import os
import struct
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise

import pytest

from hf_cifar.errors import Interrupted
from hf_cifar.utils import displays, interruption
from hf_cifar.utils import progress as progress_module
from hf_cifar.utils.progress import bars, progress, say


def drawn(code: str, columns: int = 80, **environment: str) -> str:
    """What a program writes to standard error where that is a terminal."""
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    code = f"from hf_cifar.utils.progress import bars, progress, say\n{code}"
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = {**inherited, "TERM": "xterm", **environment}
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=environment) as process:
        assert process.wait(60) == 0
    os.close(theirs)
    written = b""
    with suppress(OSError):  # nothing more was written, and the other end is closed
        while more := os.read(ours, 10_000):
            written += more
    os.close(ours)
    return written.decode()


@pytest.fixture
def seconds(monkeypatch):
    """A clock that a test sets: `seconds[0]`."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_items_come_through_and_a_short_step_writes_nothing_into_a_log_file(capsys):
    assert list(progress([1, 2, 3], "read", "image")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("environment", "shown"), [({"RANK": "0"}, True), ({"RANK": "1"}, False), ({"TQDM_DISABLE": "1"}, False)]
)
def test_on_a_terminal_the_main_process_draws_a_bar_that_is_gone_at_the_end(environment, shown):
    written = drawn("list(progress(range(3), 'read [x]', 'image'))", **environment)
    assert ("read [x]" in written) is shown
    if shown:
        hidden, visible = written.rfind("\x1b[?25l"), written.rfind("\x1b[?25h")
        assert 0 <= hidden < visible, "the cursor is back"
        assert written.rfind("\x1b[2K") > written.rfind("read [x]"), "the line of the bar is erased"


def test_a_terminal_shows_epoch_speed_time_left_and_validation_within_its_width():
    code = """
import time
bar = progress(None, 'fine-tuning', 'image', total=1000)
bar.move(0)
bar.phase, bar.note, bar.aside = 'epoch 3/10', 'validation 93.21%', 'best 94.00%'
time.sleep(0.2)
bar.move(500)
bar.close()
"""
    for columns, aside in ((80, False), (120, True)):
        written = drawn(code, columns)
        line = max(written.replace("\r", "\n").splitlines(), key=len)
        for word in ("fine-tuning, epoch 3/10", "50%", "images/s", "0:00 left", "validation 93.21%"):
            assert word in line
        assert ("best 94.00%" in line) is aside


def test_lines_of_log_stay_whole_beside_a_bar():
    path = "/a/path/" + "x" * 100
    written = drawn(f"for item in progress(range(2), 'read', 'image'): say({path!r})", 60)
    assert written.count(path) == 2
    assert written.rfind("read") > written.find(path), "the bar is drawn again below"


def test_a_log_file_gets_a_line_at_times_and_rarer_ones_the_longer_it_takes(seconds):
    file = io.StringIO()
    lines = displays.Lines(file)
    bar = progress(None, "features of train", "image", total=100_000)
    lines.open(bar)
    times = []
    for step in range(1, 2001):
        seconds[0] += 1
        bar.move(step * 50)
        before = file.tell()
        lines.refresh(bar)
        times += [step] * (file.tell() > before)
    bar.close()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] == 10 and gaps == sorted(gaps) and len(times) < 60
    assert file.getvalue().splitlines()[0] == "features of train: 0%, 50 images/s, 33:10 left"


def test_an_epoch_is_worth_a_line_unless_another_has_just_been_written(seconds):
    file = io.StringIO()
    lines = displays.Lines(file)
    bar = progress(None, "fine-tuning", "image", total=1000)
    lines.open(bar)
    bar.phase, bar.note = "epoch 1/2", "validation 50.00%"
    seconds[0] += 5000
    lines.refresh(bar)
    for pause, written in ((5, 1), (10, 2)):
        seconds[0] += pause
        lines.refresh(bar, worth_a_line=True)
        assert len(file.getvalue().splitlines()) == written
    assert file.getvalue().splitlines()[-1] == "fine-tuning, epoch 1/2: 0%, validation 50.00%"
    seconds[0] += 100
    bar.move(1000)
    lines.refresh(bar)
    assert len(file.getvalue().splitlines()) == 2, "what is done is no news"
    bar.close()


def test_a_resumed_step_has_the_speed_of_what_it_did_itself(seconds):
    bar = progress(None, "fine-tuning", "image", total=1000, done=800)
    bar.move(800)
    seconds[0] += 10
    bar.move(900)
    assert (bar.fraction, bar.shown_speed, bar.shown_time_left) == (0.9, "10 images/s", "0:10 left")
    seconds[0] += 89_990
    assert bar.shown_time_left == "25:00:00 left"
    bar.close()


def test_no_bar_is_left_behind_by_an_error_or_a_signal():
    before = list(progress_module._displays.bars)  # of tests whose failed loops are kept in their tracebacks
    with pytest.raises(RuntimeError), bars():
        for _ in progress([1], "read", "image"):
            raise RuntimeError
    assert progress_module._displays.bars == before
    assert before or progress_module._displays.display is None
    interruption._state.caught = 2
    try:
        with pytest.raises(Interrupted):
            progress(None, "read", "image").update()
    finally:
        interruption.forget()
        with bars():
            pass
        progress_module._displays.bars[-1].close()


def test_hidden_bars_are_not_shown():
    written = drawn(
        "with bars(shown=False): list(progress(range(3), 'read', 'image'))\nlist(progress([1], 'two', 'x'))"
    )
    assert "read" not in written and "two" in written


def test_lines_go_to_standard_error_once(capsys, monkeypatch):
    say("hello")
    assert capsys.readouterr() == ("", "hello\n")
    monkeypatch.setenv("RANK", "1")
    say("hello")
    assert capsys.readouterr() == ("", "")


def test_a_line_in_a_notebook_is_not_wider_than_a_cell(seconds):
    console = pytest.importorskip("rich.console").Console
    shown = displays._progress(console(file=io.StringIO(), width=115), displays.NOTEBOOK_BAR)
    words = {"done": " 39%", "speed": "1,250 images/s", "left": "0:12 left", "note": "validation 93.21%"}
    shown.add_task("", total=10, heading="fine-tuning, epoch 3/10", **words)
    out = io.StringIO()
    console(file=out, width=115).print(shown.get_renderable())
    line = out.getvalue().rstrip()
    assert "validation 93.21%" in line and len(line) <= 90
