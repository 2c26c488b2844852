"""Images as `pipeline` loads them, and work in threads that keeps its order; see test_predictor for whole runs."""

import threading

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError
from transformers.image_utils import load_image

from hf_cifar.inference.image_paths import ImagePath
from hf_cifar.inference.image_reading import in_order, read_image, reason
from hf_cifar.utils.processes import reading_threads


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_an_image_is_what_transformers_loads(mode, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "x.tif"
    Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)).convert(mode).save(path)
    expected = np.asarray(load_image(str(path)))
    for given in (path, str(path), ImagePath(str(path)), Image.open(path)):
        image = read_image(given)
        assert image.mode == "RGB" and np.array_equal(np.asarray(image), expected)


def test_a_fault_is_raised_as_it_is():
    with pytest.raises(ValueError, match=r"^matches no image$"):
        read_image(ImagePath("*.png", "matches no image"))


@pytest.mark.parametrize("threads", [1, 4])
def test_results_are_in_order_and_little_is_done_ahead(threads):
    taken, ahead = 0, 6

    def items():
        nonlocal taken
        for item in range(50):
            taken += 1
            yield item

    for index, result in enumerate(in_order(lambda item: item**2, items(), threads, ahead)):
        assert result == index**2
        assert taken <= index + ahead + 1
    assert index == 49


def test_an_error_of_the_work_is_raised_where_its_result_would_be():
    results = in_order(lambda item: 1 // item, [1, 0, 1], threads=2, ahead=3)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_thread_goes_on_when_nobody_reads_on():
    results = in_order(lambda item: item, range(10), threads=2, ahead=4)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reading")]


def test_reasons_are_short_and_without_the_path():
    assert reason(FileNotFoundError(2, "No such file or directory", "/some/where")) == "No such file or directory"
    assert (
        reason(UnidentifiedImageError("cannot identify image file 'x'")) == "not an image in a format that Pillow reads"
    )
    assert reason(ValueError("a\n  b")) == "a b" and reason(KeyError()) == "KeyError"
    assert len(reason(ValueError("x" * 999))) == 150


def test_threads_are_some_and_few():
    assert 1 <= reading_threads() <= 8
