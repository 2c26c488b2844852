"""Fine-tuning never ends below its start, and builds its network once."""

import json
import shutil

import pandas
import pytest
import torch
from safetensors.torch import load_file

from hf_cifar.models.predict import predict_logits
from hf_cifar.run.train_summary import Chosen
from hf_cifar.stages.train import run_training
from hf_cifar.training.finetune import finetune as finetune_module
from hf_cifar.training.finetune import starting_point

pytestmark = pytest.mark.usefixtures("no_pictures")

# BatchNorm in training mode without a warm-up: the model is destroyed, but stays finite.
DESTROYING = {
    "stage": "finetune",
    "num_train_epochs": 3,
    "learning_rate": 30.0,
    "scheduler": "constant",
    "warmup_steps": 0,
    "max_grad_norm": 1.0,
}


def weights(result, stage="finetune"):
    return load_file(result.output_dir / stage / "model" / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def probe(configure):
    return run_training(configure(num_train_epochs=20, learning_rates=[0.05]))


def epochs(result):
    return pandas.read_csv(result.output_dir / "finetune" / "history.csv")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"selection_metric": "nll"},
        {"ema": 0.5},
        {"interpolate": "1.0"},
        {"early_stopping": 1},
        {"selection_metric": "f1_macro", "bn": "train"},
    ],
)
def test_a_destroyed_model_is_replaced_by_its_start(options, probe, configure, tmp_path, capfd):
    result = run_training(
        configure(**DESTROYING, **options, from_=str(probe.model_dir), output_dir=str(tmp_path / "tuned"))
    )
    metric = options.get("selection_metric", "accuracy")
    name = f"validation_{metric}"
    before = getattr(probe.metrics.validation, metric)
    worse = epochs(result)[name]
    assert (worse > before).all() if metric == "nll" else (worse < before).all(), "the premise of this test"
    chosen = result.metrics.train.chosen
    assert chosen == Chosen(epoch=0, step=0, metric=metric, value=pytest.approx(before))
    assert same(weights(result), weights(probe, "probe"))
    assert result.metrics.validation.accuracy == probe.metrics.validation.accuracy
    err = capfd.readouterr().err
    assert "no epoch is as good on validation as the start, so the start is kept" in err and "--learning-rate" in err


def test_it_holds_after_resume(probe, configure, tmp_path):
    options = {**DESTROYING, "from_": str(probe.model_dir), "output_dir": str(tmp_path / "tuned")}
    first = run_training(configure(**options))
    folder = first.output_dir / "finetune"
    (folder / "metrics.json").unlink()
    shutil.rmtree(folder / "model")
    again = run_training(configure(**options, resume=True))
    assert again.metrics.train.chosen == first.metrics.train.chosen
    assert again.metrics.train.chosen.epoch == 0 and same(weights(again), weights(probe, "probe"))


def test_a_tie_goes_to_the_trained_epoch(probe, configure, tmp_path):
    options = {"stage": "finetune", "num_train_epochs": 1, "learning_rate": 1e-30, "scheduler": "constant"}
    for metric in ("accuracy", "nll"):
        values = {"from_": str(probe.model_dir), "output_dir": str(tmp_path / metric), "selection_metric": metric}
        result = run_training(configure(**options, **values))
        assert result.metrics.train.chosen.epoch == 1


def test_a_start_with_a_new_head_counts_too(configure, monkeypatch):
    """Every epoch is made worse than the random start."""
    monkeypatch.setattr(finetune_module.Finetune, "_choose", lambda self, state: spoil(self))

    def spoil(self):
        logits = predict_logits(self.model, self.processor, self.validation, "x")
        worst = int(torch.tensor(logits[0]).argsort()[0])
        with torch.no_grad():
            self.model.classifier[1].weight.zero_()
            self.model.classifier[1].bias.zero_()
            self.model.classifier[1].bias[worst] = 1e4
        return Chosen(epoch=1.0, step=4)

    result = run_training(configure(stage="finetune", num_train_epochs=1, selection_metric="nll"))
    assert result.metrics.train.start.new_head
    assert result.metrics.train.chosen.epoch == 0
    assert weights(result)["classifier.1.bias"].abs().max() < 1e3


def test_the_network_is_built_once_per_stage(configure, monkeypatch, tmp_path):
    from hf_cifar.stages import train

    built = []

    def counted(kind):
        def build(*args):
            built.append(kind)
            return original(*args)

        original = starting_point.build_model
        return build

    monkeypatch.setattr(train, "build_model", counted("probe"))
    monkeypatch.setattr(starting_point, "build_model", counted("finetune"))
    run_training(configure(stage="lpft", num_train_epochs=2, interpolate="auto"))
    assert built == ["probe", "finetune"]
    run_training(configure(stage="finetune", num_train_epochs=1, output_dir=str(tmp_path / "alone")))
    assert built == ["probe", "finetune", "finetune"]


def test_no_trace_of_training_is_saved(configure):
    """The configuration that is saved differs from the start's by what the stage adds, and by nothing of Trainer's."""
    result = run_training(configure(stage="lpft", num_train_epochs=1, gradient_checkpointing=True, unfreeze="stages.1"))
    before, after = (
        json.loads((result.output_dir / stage / "model" / "config.json").read_text()) for stage in ("probe", "finetune")
    )
    for config in (before, after):
        config.pop("calibration_temperature")
    assert before == after
