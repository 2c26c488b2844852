"""`--report-to`, as one name, several, or several in one word."""

import pytest

from hf_cifar.cli import parse
from hf_cifar.config import training_arguments
from hf_cifar.errors import InputError
from hf_cifar.run.resolve import request_for


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    """Every tracker is installed."""
    monkeypatch.setattr(training_arguments, "find_spec", lambda name: object())


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["mlflow"], ["mlflow"]),
        (["tensorboard", "trackio"], ["tensorboard", "trackio"]),
        (["tensorboard,trackio"], ["tensorboard", "trackio"]),
        (["tensorboard,", "trackio", "tensorboard"], ["tensorboard", "trackio"]),
        (["none"], ["none"]),
    ],
)
def test_trackers_are_named_as_transformers_takes_them_or_by_commas(given, names, tmp_path):
    options = ["--output-dir", str(tmp_path / "run"), "--report-to", *given, "--seed", "3"]
    config = parse(["train", "digits", "--model", "resnet18-mini", "--weights", "none", *options]).config
    assert config.probe.training["report_to"] == config.finetune.training["report_to"] == names
    assert config.seed == 3
    for value in (given, ",".join(given)):
        config = request_for("finetune", {"dataset": "digits", "model": "resnet18-mini", "report_to": value}).config
        assert config.finetune.training["report_to"] == names


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["none", "trackio"], "none stands alone"),
        (["trackio,all"], "all stands alone"),
        (["trackio", "mlfow"], "did you mean 'mlflow'"),
    ],
)
def test_names_that_do_not_go_together_are_refused(given, words):
    with pytest.raises(InputError, match=words):
        parse(["probe", "digits", "--model", "resnet18-mini", "--report-to", *given])
