"""A signal is never lost, whatever swallows the exception that it raises."""

import subprocess
import sys

# A weak reference's callback swallows the exception; the loop sees the signal all the same.
SWALLOWED = """
import os, signal, sys, weakref
from hf_cifar.errors import Interrupted
from hf_cifar.utils import interruption
class Thing: pass
with interruption.listening():
    thing = Thing()
    reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    del thing
    print("swallowed", flush=True)
    try:
        interruption.check()
    except Interrupted as error:
        sys.exit(error.number)
"""
DEFERRED = """
import os, signal, sys
from hf_cifar.errors import Interrupted
from hf_cifar.utils import interruption
before = signal.getsignal(signal.SIGINT)
with interruption.listening():
    with interruption.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        interruption.check()
        print("goes on with", interruption.caught(), flush=True)
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Interrupted as error:
            print("second", error.number, flush=True)
    try:
        interruption.check()
    except Interrupted as error:
        print("then", error.number)
    interruption.forget()
    interruption.check()
assert signal.getsignal(signal.SIGINT) is before
"""


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_a_signal_whose_exception_was_swallowed_is_seen_by_the_next_check():
    done = run(SWALLOWED)
    assert done.stdout == "swallowed\n" and "Interrupted" in done.stderr
    assert done.returncode == 15


def test_a_deferred_signal_waits_and_a_second_one_does_not():
    done = run(DEFERRED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["goes on with 2", "second 15", "then 15"]
