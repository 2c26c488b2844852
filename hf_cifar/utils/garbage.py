"""Python's garbage collector, kept away from imported code."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Keep what the block makes out of every garbage collection: for imports, in a process that runs one command.

    torch and transformers make more than a million objects that last as long as the process. The collections during
    their import, and the one when Python ends, look through them and find nothing: a fifth of the time of a short run.
    `gc.freeze` also spares every full collection of a training that follows, and worker processes that are forked need
    not copy these objects.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
