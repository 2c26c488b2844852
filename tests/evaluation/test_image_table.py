"""Tables of single images: probabilities by hand, and the file read back."""

import csv

import numpy as np
import pytest

from hf_cifar.evaluation.image_table import COLUMNS, ImageRow, image_rows, read_image_table, write_image_table

NAMES = ["ape", "bee", "cat"]
LOGITS = np.log(np.array([[0.2, 0.7, 0.1], [0.9, 0.05, 0.05]]))


def test_rows_by_hand():
    (row,) = image_rows(np.array([0]), LOGITS, np.array([0, 0]), np.array([40, 41]), NAMES)
    assert (row.index, row.label, row.prediction) == (40, "ape", "bee")
    assert row.label_probability == pytest.approx(0.2)
    assert row.prediction_probability == pytest.approx(0.7)
    assert row.loss == pytest.approx(-np.log(0.2))


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    file = tmp_path / "mistakes.csv"
    names = ['a, "b"', "two\nlines", "猫"]
    rows = image_rows([1, 0], LOGITS, np.array([2, 0]), np.array([40, 41]), names, ["=a/1.png", "猫/2.png"])
    assert [row.file for row in rows] == ["猫/2.png", "=a/1.png"]
    write_image_table(file, rows)
    assert read_image_table(file) == rows
    assert read_image_table(file, limit=1) == rows[:1]
    with file.open(newline="", encoding="utf-8") as lines:
        assert tuple(next(csv.reader(lines))) == COLUMNS


def test_no_rows_and_no_file(tmp_path):
    assert read_image_table(tmp_path / "nowhere.csv") == []
    write_image_table(tmp_path / "empty.csv", [])
    assert (tmp_path / "empty.csv").read_text() == ",".join(COLUMNS) + "\n"
    assert read_image_table(tmp_path / "empty.csv") == []
    assert ImageRow(1, "a", "b", 0.1, 0.9, 2.3) == ImageRow(1, "a", "b", 0.1, 0.9, 2.3)
