"""The state beside an exported folder."""

import hashlib

from hf_cifar.hub.export_state import ExportState, text_digest
from hf_cifar.utils.checksums import files_digest


def test_it_is_read_as_it_was_written_and_lies_outside_of_the_folder(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    state = ExportState("a", "b", True, ["README.md"], {"me/x@main": "c"})
    state.write(folder)
    assert ExportState.read(folder) == state
    assert not list(folder.iterdir())
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["export.json"]


def test_what_cannot_be_read_is_as_good_as_none(tmp_path):
    folder = tmp_path / "export"
    assert ExportState.read(folder) == ExportState()
    for text in ("{", "[]", '{"unknown": 1}'):
        (tmp_path / "export.json").write_text(text)
        assert ExportState.read(folder) == ExportState()


def test_digests_tell_names_and_contents_apart(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1" * 3_000_000)
    other.write_bytes(b"2")
    before = files_digest([one, other])
    assert files_digest([other, one]) == before
    other.write_bytes(b"3")
    assert files_digest([one, other]) != before
    other.write_bytes(b"2")
    assert files_digest([one, other.rename(tmp_path / "third")]) != before
    assert text_digest("é") == hashlib.sha256("é".encode()).hexdigest()
