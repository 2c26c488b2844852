"""A local folder against a repository."""

import subprocess

from hf_cifar.hub.remote import Change, Remote, changes


def test_each_file_is_new_changed_same_or_gone(tmp_path):
    files = {}
    for name in ("new", "changed", "same", "large"):
        files[name] = tmp_path / name
        files[name].write_text(name)
    git = subprocess.run(["git", "hash-object", files["same"]], capture_output=True, text=True, check=True).stdout
    sha256 = subprocess.run(["sha256sum", files["large"]], capture_output=True, text=True, check=True).stdout
    known = {"changed": "0" * 40, "same": git.strip(), "large": sha256.split()[0], "old": "1" * 40, "notes": "2" * 40}
    result = changes(files, Remote("c", True, True, known), ["old"])
    assert result == [
        Change("changed", 7, "changed"),
        Change("large", 5, "same"),
        Change("new", 3, "new"),
        Change("same", 4, "same"),
        Change("old", 0, "gone"),
    ]
    assert [change.path for change in result if change.sent] == ["changed", "new", "old"]


def test_without_a_repository_everything_is_new(tmp_path):
    (tmp_path / "a").write_text("x")
    assert changes({"a": tmp_path / "a"}, None, []) == [Change("a", 1, "new")]
