"""Lines that begin with a word, such as `warning`: in colour on a terminal, plain everywhere else."""

import sys
from collections.abc import Sequence

from hf_cifar.utils.processes import is_main
from hf_cifar.utils.progress import say


def say_labelled(rows: Sequence[tuple[str, str]], style: str) -> None:
    """Write rows to standard error, in the main process, their texts below each other.

    Args:
        rows: label and text of each line.
        style: of the labels where there is a terminal that shows colours, as rich names it.
    """
    if not rows or not is_main():
        return
    width = max(len(label) for label, _ in rows)
    if not sys.stderr.isatty():
        for label, text in rows:
            say(f"{label:<{width}} {text}")
        return
    from rich.console import Console  # for terminals alone
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    for label, text in rows:
        # Never wrapped: a path that is copied must be whole.
        console.print(Text.assemble((f"{label:<{width}}", style), " ", text), soft_wrap=True)
