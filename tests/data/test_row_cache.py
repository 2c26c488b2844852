"""Parts of arrays by rows: whole or absent, found when damaged, and readable in any number."""

import resource

import numpy as np
import pytest

from hf_cifar.data.row_cache import CachedRows, RowCache


@pytest.fixture
def cache(tmp_path):
    return RowCache(tmp_path, {"of": "a test"}, ["pixels", "shapes"], "cached images")


def add(cache: RowCache, rows: list[int]) -> None:
    """Add a part of images of height row + 1 and width 2, filled with their row's number."""
    with cache.part(np.array(rows)) as folder:
        np.save(folder / "pixels.npy", np.concatenate([np.full(2 * (row + 1), row, np.uint8) for row in rows]))
        np.save(folder / "shapes.npy", np.array([[row + 1, 2] for row in rows], dtype=np.int32))


def image(found: CachedRows, row: int) -> np.ndarray:
    shapes = found.arrays["shapes"][found.part[row]]
    start = int(shapes[: found.position[row]].prod(1).sum())
    shape = shapes[found.position[row]]
    return found.arrays["pixels"][found.part[row]][start : start + shape.prod()].reshape(shape)


def test_arrays_of_any_number_and_shape_are_found_by_row(cache):
    assert cache.fill(np.array([5, 1, 0]), lambda rows: add(cache, rows.tolist())) == 3
    assert cache.fill(np.array([1, 7, 3]), lambda rows: [add(cache, [row]) for row in rows.tolist()]) == 2
    assert cache.missing(np.array([9, 8, 7, 5])).tolist() == [8, 9]
    found = cache.open(10)
    assert found.part[[2, 4, 6, 8, 9]].tolist() == [-1] * 5
    for row in (0, 1, 3, 5, 7):
        assert np.array_equal(image(found, row), np.full((row + 1, 2), row, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        found.arrays["pixels"][0][:] = 0


def test_a_part_that_fails_leaves_nothing(cache):
    def fail(rows):
        with cache.part(rows) as folder:
            np.save(folder / "pixels.npy", np.zeros(3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.fill(np.arange(3), fail)
    assert {path.name for path in cache.folder.iterdir()} <= {"key.json", "lock"}
    assert cache.missing(np.arange(3)).tolist() == [0, 1, 2]


def test_another_description_is_another_folder(cache, tmp_path):
    assert RowCache(tmp_path, {"of": "another"}, ["pixels"], "x").folder != cache.folder


def test_more_parts_than_a_process_may_open_files(cache):
    cache.folder.mkdir()
    for row in range(60):
        add(cache, [row])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (50, limits[1]))
    try:
        found = cache.open(60)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert np.array_equal(image(found, 59), np.full((60, 2), 59, np.uint8))
