"""The table of parameter groups as it is printed and saved."""

import pandas
import torch

from hf_cifar.training.finetune.group_table import report_groups
from hf_cifar.training.optimizer import ParameterGroup


def test_one_row_per_group(tmp_path, capfd):
    groups = [
        ParameterGroup("stem", ["a", "b"], [torch.nn.Parameter(torch.zeros(2, 3))], 0.01, 0.1),
        ParameterGroup("head", ["c"], [torch.nn.Parameter(torch.zeros(4))], 0.1, 0.0),
    ]
    report_groups(tmp_path / "groups.csv", groups, {"stem": 2})
    table = pandas.read_csv(tmp_path / "groups.csv")
    assert table["parameters"].tolist() == [6, 4] and table["trains_from_epoch"].tolist() == [2, 0]
    assert table["layers"].tolist() == ["a b", "c"]
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 3 and lines[1].split() == ["stem", "6", "0.01", "0.1", "3"], "counted from 1, as in progress"


def test_neighbours_that_train_alike_are_a_row_within_80_columns(tmp_path, capfd):
    stages = [f"convnextv2.encoder.stages.{number}" for number in range(3)]
    groups = [
        ParameterGroup(name, [name], [torch.nn.Parameter(torch.zeros(size))], rate, decay)
        for name, rate in [*((stage, 1e-5) for stage in stages), ("head", 1e-4)]
        for size, decay in ((1000, 0.05), (24, 0.0))
    ]
    report_groups(tmp_path / "groups.csv", groups, {})
    assert len(pandas.read_csv(tmp_path / "groups.csv")) == 8, "the file has all of them"
    heading, *rows = capfd.readouterr().err.splitlines()
    assert [row.split()[-3:] for row in rows] == [["3,072", "1e-05", "0.05"], ["1,024", "0.0001", "0.05"]]
    assert rows[0].startswith(f"{stages[0]} to {stages[2]}  ") and rows[1].startswith("head  ")
    assert "from epoch" not in heading and len(heading) == len(rows[0])
    report_groups(tmp_path / "groups.csv", groups[:2], {stages[0]: 4})
    assert max(map(len, capfd.readouterr().err.splitlines())) <= 80
