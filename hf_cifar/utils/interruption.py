"""SIGINT and SIGTERM: remembered whatever happens to the exception, and raised where it is safe to stop.

An exception that a signal handler raises is lost where Python runs code that it never lets fail, such as the callback
of a weak reference. So the handler also remembers the signal, and loops, loaders and waits call `check`.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from hf_cifar.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _State:
    """The signal that came, and whether whoever runs now looks for it instead of being interrupted."""

    def __init__(self) -> None:
        self.caught: int | None = None
        self.deferred = 0


_state = _State()


def caught() -> int | None:
    """Return the number of the signal that came, or None."""
    return _state.caught


def check() -> None:
    """Stop here if a signal came, unless whoever runs now stops by itself.

    Raises:
        Interrupted: a signal came.
    """
    if _state.caught is not None and not _state.deferred:
        raise Interrupted(_state.caught)


def forget() -> None:
    """Forget the signal that came, once it was acted on; a notebook goes on after it."""
    _state.caught = None


@contextmanager
def listening() -> Iterator[None]:
    """Handle SIGINT and SIGTERM within the context; only the main thread can set that up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {number: signal.signal(number, _handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Only remember a first signal within the context; a second one stops at once."""
    _state.deferred += 1
    try:
        yield
    finally:
        _state.deferred -= 1


def _handle(number: int, frame: FrameType | None) -> None:
    again = _state.caught is not None
    _state.caught = number
    if again or not _state.deferred:
        raise Interrupted(number)
