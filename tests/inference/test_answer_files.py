"""What goes into each format, read back by other programs; see test_predictor for whole runs."""

import csv
import json
import os

import pandas as pd
import pytest

from hf_cifar.errors import InputError
from hf_cifar.inference.answer_files import answers_to_standard_output, check_output, open_answers, readable

ANSWERS = {
    'a, "b".png': [{"label": "dög", "score": 0.75}, {"label": "ape", "score": 0.25}],
    "c\nd.png": [{"label": "ape", "score": 1.0}, {"label": "dög", "score": 0.0}],
}


def written(path):
    with open_answers(path, path.suffix, top_k=2) as write:
        for image, predictions in ANSWERS.items():
            write(image, predictions)
    return path


def test_csv(tmp_path):
    with written(tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "label_1", "score_1", "label_2", "score_2"]
    assert rows == [['a, "b".png', "dög", "0.75", "ape", "0.25"], ["c\nd.png", "ape", "1.0", "dög", "0.0"]]


def test_json_lines(tmp_path):
    lines = written(tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()
    expected = [{"image": image, "predictions": predictions} for image, predictions in ANSWERS.items()]
    assert [json.loads(line) for line in lines] == expected


def test_parquet_in_several_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_cifar.inference.answer_files.ROWS_OF_GROUP", 1)
    table = pd.read_parquet(written(tmp_path / "x.parquet"))
    assert table.columns.tolist() == ["path", "label_1", "score_1", "label_2", "score_2"]
    assert table.values.tolist() == [['a, "b".png', "dög", 0.75, "ape", 0.25], ["c\nd.png", "ape", 1.0, "dög", 0.0]]


def test_standard_output(capsys):
    with answers_to_standard_output() as write:
        write("x.png", ANSWERS["c\nd.png"])
    assert json.loads(capsys.readouterr().out) == {"image": "x.png", "predictions": ANSWERS["c\nd.png"]}


def test_names_that_are_no_utf_8_are_readable():
    name = os.fsdecode(b"caf\xe9.png")
    assert readable(name) == "caf\ufffd.png" and readable("café") == "café"


def test_outputs(tmp_path):
    assert check_output(None, overwrite=False) == "predictions.csv"
    assert check_output("-", overwrite=False) == "-"
    file = tmp_path / "new" / "x.JSONL"
    assert check_output(str(file), overwrite=False) == str(file)


@pytest.mark.parametrize(("name", "message"), [
    ("x.txt", r"the suffix selects the format, one of \.csv, \.jsonl, \.parquet"),
    ("folder.csv", "is a folder: give a file"),
    ("there.csv", "exists: choose another file, or replace it with --overwrite"),
    ("there.csv/x.csv", "is not a folder"),
])  # fmt: skip
def test_outputs_that_cannot_be(name, message, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "there.csv").touch()
    with pytest.raises(InputError, match=message):
        check_output(str(tmp_path / name), overwrite=False)
    assert check_output(str(tmp_path / "there.csv"), overwrite=True)
