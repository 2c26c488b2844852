import csv
import json
import os
import stat

import pytest

from hf_cifar.utils.files import (
    folder_aside,
    from_csv_text,
    remove_leftovers,
    write_aside,
    write_csv,
    write_json,
    write_text,
)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "x.txt", "old")

    def fail(aside):
        aside.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_aside(tmp_path / "x.txt", fail)
    assert (tmp_path / "x.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_files_follow_the_users_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "new" / "x.txt", "é")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / "x.txt").stat().st_mode) == 0o640
    assert (tmp_path / "new" / "x.txt").read_bytes() == "é".encode()


def test_json_and_csv_are_read_back(tmp_path):
    value = {"name": "dög", "rows": [1, 2.5, None]}
    write_json(tmp_path / "x.json", value)
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == value
    write_csv(tmp_path / "x.csv", [{"b": 2, "a": "x, y"}, {"a": 3, "b": None}], ["a", "b"])
    with (tmp_path / "x.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ["x, y", "2"], ["3", ""]]


FORMULAS = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1+cmd", "-2+3", "\tx", "＝1"]


def test_no_cell_of_a_csv_file_is_a_formula(tmp_path):
    """A spreadsheet takes for one what begins so; plain numbers stay numbers."""
    texts = [*FORMULAS, "'=x", "''x", "cat", "-1", "+1.5", "a\rb"]
    write_csv(tmp_path / "x.csv", [{"a": text, "b": -1.5} for text in texts], ["a", "b"])
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["a"][0] for row in rows[: len(FORMULAS)]] == ["'"] * len(FORMULAS)
    assert [row["a"] for row in rows[-4:]] == ["cat", "-1", "+1.5", "a␍b"]
    assert {row["b"] for row in rows} == {"-1.5"}
    assert [from_csv_text(row["a"]) for row in rows[:-1]] == texts[:-1]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    for content in ("one", "two"):
        with folder_aside(tmp_path / "model") as aside:
            assert not os.listdir(aside)
            (aside / content).touch()
        assert os.listdir(tmp_path / "model") == [content]
    with pytest.raises(RuntimeError), folder_aside(tmp_path / "model") as aside:
        (aside / "three").touch()
        raise RuntimeError
    assert os.listdir(tmp_path / "model") == ["two"]
    assert os.listdir(tmp_path) == ["model"]


def test_leftovers_of_a_killed_writer_are_removed_by_name_and_age(tmp_path):
    for name in (".export.0123abcd", ".export.4567abcd", ".other.0123abcd", ".hidden"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".export.0123abcd", (1, 1))
    remove_leftovers(tmp_path, "export", age=3600)
    assert sorted(os.listdir(tmp_path)) == [".export.4567abcd", ".hidden", ".other.0123abcd"]
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == [".hidden"]
