"""The training history: numbers, without empty cells."""

from hf_cifar.evaluation.history import read_history


def test_rows_lack_their_empty_cells(tmp_path):
    file = tmp_path / "history.csv"
    file.write_text("epoch,loss,validation_accuracy\n0.5,3.25,\n1,2.5,0.75\n")
    assert read_history(file) == [
        {"epoch": 0.5, "loss": 3.25},
        {"epoch": 1.0, "loss": 2.5, "validation_accuracy": 0.75},
    ]


def test_no_file_has_no_rows(tmp_path):
    assert read_history(tmp_path / "history.csv") == []
