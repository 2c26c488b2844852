"""A store that machines share: what one has published another reads, and only what is whole."""

import shutil

import fsspec
import numpy as np
import pytest

from hf_cifar.data.row_cache import RowCache
from hf_cifar.data.shared_store import SharedStore
from hf_cifar.errors import InputError


@pytest.fixture(params=["memory", "file"])
def address(request, tmp_path):
    yield f"memory://{tmp_path}/store" if request.param == "memory" else f"file://{tmp_path}/store"
    if request.param == "memory":
        fsspec.filesystem("memory").rm(f"{tmp_path}/store", recursive=True)


def machine(folder, address: str) -> RowCache:
    """The cache of a machine with its own disk."""
    return RowCache(folder, {"of": "a test"}, ["squares"], "squares", SharedStore(address))


def compute(cache: RowCache, computed: list[int]):
    def add(rows: np.ndarray) -> None:
        for row in rows.tolist():
            computed.append(row)
            with cache.part(np.array([row])) as folder:
                np.save(folder / "squares.npy", np.array([row**2]))

    return add


def filled(folder, address: str, rows: list[int]) -> tuple[list[int], list[int]]:
    """Return what a machine computed for some rows, and the values it then has."""
    cache, computed = machine(folder, address), []
    cache.fill(np.array(rows), compute(cache, computed))
    found = cache.open(max(rows) + 1)
    return computed, [int(found.arrays["squares"][found.part[row]][found.position[row]]) for row in rows]


def test_what_one_machine_publishes_another_reads_and_adds_to(address, tmp_path):
    assert filled(tmp_path / "one", address, [1, 2, 3]) == ([1, 2, 3], [1, 4, 9])
    assert filled(tmp_path / "two", address, [2, 3, 4]) == ([4], [4, 9, 16])
    assert filled(tmp_path / "one", address, [1, 4]) == ([], [1, 16])


def test_a_half_uploaded_or_damaged_part_is_not_used(address, tmp_path, capfd):
    filled(tmp_path / "one", address, [1, 2, 3])
    files, root = fsspec.url_to_fs(address)
    half, flipped = sorted(path.rpartition("/")[0] for path in files.find(root) if path.endswith("rows.npy"))[:2]
    files.rm_file(f"{half}/checksums.json")
    content = bytearray(files.cat_file(f"{flipped}/squares.npy"))
    content[-1] ^= 1
    files.pipe_file(f"{flipped}/squares.npy", bytes(content))
    assert filled(tmp_path / "two", address, [1, 2, 3]) == ([1, 2], [1, 4, 9])
    assert capfd.readouterr().err.count("is damaged (squares.npy has another content): it is not used") == 1


def test_what_was_not_uploaded_before_is_uploaded_later_and_nothing_twice(address, tmp_path):
    alone = RowCache(tmp_path / "one", {"of": "a test"}, ["squares"], "squares")
    alone.fill(np.array([5]), compute(alone, []))
    filled(tmp_path / "one", address, [5])
    assert filled(tmp_path / "two", address, [5]) == ([], [25])
    files, root = fsspec.url_to_fs(address)
    before = {path: files.info(path).get("mtime", files.info(path).get("created")) for path in files.find(root)}
    filled(tmp_path / "one", address, [5])
    assert before == {path: files.info(path).get("mtime", files.info(path).get("created")) for path in files.find(root)}


def test_a_store_that_fails_in_the_middle_costs_no_work(tmp_path, capfd, monkeypatch):
    address = f"file://{tmp_path}/store"

    def refuse(*args, **kwargs):
        raise ConnectionResetError("gone")

    monkeypatch.setattr(type(fsspec.filesystem("file")), "put_file", refuse)
    assert filled(tmp_path / "one", address, [6]) == ([6], [36])
    assert "cannot be written (ConnectionResetError: gone)" in capfd.readouterr().err
    shutil.rmtree(tmp_path / "store")


def test_an_address_that_nothing_opens_is_refused():
    with pytest.raises(InputError, match=r"^--feature-cache nowhere://x cannot be opened"):
        SharedStore("nowhere://x")
