"""What transformers and datasets print of their own accord."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def hushed(reads_dataset: bool = False) -> Iterator[None]:
    """Silence the libraries, which report what is meant to happen as if it were a fault; restored afterwards.

    Args:
        reads_dataset: through `datasets`, which is imported for that; transformers is silenced where it is imported.
    """
    with ExitStack() as restored:
        # In a notebook without ipywidgets, tqdm says so once it is imported; what is shown here needs none.
        restored.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="IProgress not found")
        if reads_dataset or "transformers" in sys.modules:
            from transformers.utils import logging

            restored.callback(logging.set_verbosity, logging.get_verbosity())
            logging.set_verbosity_error()
            if logging.is_progress_bar_enabled():
                logging.disable_progress_bar()
                restored.callback(logging.enable_progress_bar)
        if reads_dataset:
            import datasets

            if not datasets.are_progress_bars_disabled():
                datasets.disable_progress_bars()
                restored.callback(datasets.enable_progress_bars)
        yield
