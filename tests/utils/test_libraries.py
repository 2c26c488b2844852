import datasets
import pytest
from transformers.utils import logging

from hf_cifar.utils.libraries import hushed


def test_the_libraries_are_silent_within_and_as_before_afterwards():
    logging.set_verbosity_info()
    logging.enable_progress_bar()
    datasets.enable_progress_bars()
    try:
        with pytest.raises(RuntimeError), hushed(reads_dataset=True):
            assert logging.get_verbosity() == logging.ERROR
            assert not logging.is_progress_bar_enabled() and datasets.are_progress_bars_disabled()
            raise RuntimeError
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled() and not datasets.are_progress_bars_disabled()
    finally:
        logging.set_verbosity_warning()
