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
    assert len(lines) == 3 and lines[1].split() == ["stem", "6", "0.01", "0.1", "2"]
