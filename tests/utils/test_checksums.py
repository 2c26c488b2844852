"""Files are written down with their checksums, and what is damaged is found."""

import hashlib
import json

import pytest

from hf_cifar.utils.checksums import find_damage, sha256_of, write_checksums


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.bin").write_bytes(b"12345")
    (tmp_path / "sub" / "b.bin").write_bytes(b"x" * 3_000_000)
    write_checksums(tmp_path / "complete.json", [tmp_path / "a.bin", tmp_path / "sub" / "b.bin"])
    return tmp_path


def test_what_is_written_down(folder):
    recorded = json.loads((folder / "complete.json").read_text())
    expected = {"bytes": 5, "sha256": hashlib.sha256(b"12345").hexdigest()}
    assert recorded["a.bin"] == expected and list(recorded) == ["a.bin", "sub/b.bin"]
    assert sha256_of(folder / "sub" / "b.bin") == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert find_damage(folder / "complete.json") is None


def test_a_flipped_byte_is_found(folder):
    content = bytearray((folder / "sub" / "b.bin").read_bytes())
    content[2_000_000] ^= 1
    (folder / "sub" / "b.bin").write_bytes(content)
    assert find_damage(folder / "complete.json") == "sub/b.bin has another content"
    assert find_damage(folder / "complete.json", content=False) is None


def test_other_damage(folder):
    mark = folder / "complete.json"
    (folder / "a.bin").write_bytes(b"1234")
    assert find_damage(mark) == "a.bin has another size"
    (folder / "a.bin").unlink()
    assert find_damage(mark) == "a.bin is missing or cannot be read"
    mark.write_text(mark.read_text()[:20])
    assert find_damage(mark) == "complete.json is damaged"
    mark.unlink()
    assert find_damage(mark) == "complete.json is missing"


def test_sizes_of_an_older_version_are_still_compared(folder):
    (folder / "complete.json").write_text(json.dumps({"a.bin": 5}))
    assert find_damage(folder / "complete.json") is None
    (folder / "complete.json").write_text(json.dumps({"a.bin": 6}))
    assert find_damage(folder / "complete.json") == "a.bin has another size"
