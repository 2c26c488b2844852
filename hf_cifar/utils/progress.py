"""Progress bars on standard error, and only where a person is looking."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

from hf_cifar.utils.processes import is_main

T = TypeVar("T")


def progress(items: Iterable[T] | None, what: str, unit: str, **options: Any) -> "tqdm[T]":
    """`items` with a bar, which stays away when standard error is not a terminal."""
    return tqdm(
        items, desc=what, unit=unit, file=sys.stderr, disable=None if is_main() else True, dynamic_ncols=True, **options
    )


def say(line: str) -> None:
    """A line for the person who watches, from the main process; standard output is for the result."""
    if is_main():
        tqdm.write(line, file=sys.stderr)
