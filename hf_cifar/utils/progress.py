"""Progress bars and log lines on standard error."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

from hf_cifar.utils import interruption
from hf_cifar.utils.processes import is_main

T = TypeVar("T")


class _Bar(tqdm):
    """A progress bar whose loop ends where a signal came, even if the exception of its handler was lost."""

    def __iter__(self) -> Iterator[Any]:
        for item in super().__iter__():
            interruption.check()
            yield item

    def update(self, n: float | None = 1) -> bool | None:
        """Move the bar by `n` items."""
        interruption.check()
        return super().update(n)


def progress(items: Iterable[T] | None, title: str, unit: str, **options: Any) -> "tqdm[T]":
    """Iterate over items with a progress bar, which is shown on a terminal only, by the main process."""
    disable = None if is_main() else True  # None: unless standard error is a terminal
    return _Bar(items, desc=title, unit=unit, file=sys.stderr, disable=disable, dynamic_ncols=True, **options)


def say(line: str) -> None:
    """Write a log line to standard error, in the main process; standard output is for the result."""
    if is_main():
        tqdm.write(line, file=sys.stderr)
