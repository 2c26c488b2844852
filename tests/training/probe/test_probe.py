"""The probe against a plain PyTorch loop, and its two ways against each other."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.models import build, processor
from transformers import AutoModelForImageClassification

from hf_cifar.config.options.data import DataConfig
from hf_cifar.config.run_config import nested
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import load_source
from hf_cifar.data.splits import make_splits
from hf_cifar.errors import InputError
from hf_cifar.run.resolve import resolve
from hf_cifar.run.train_summary import Augmentation
from hf_cifar.stages.train import run_training

pytestmark = pytest.mark.usefixtures("no_pictures")

ONE_RATE = {"learning_rate": 0.05, "num_train_epochs": 3, "per_device_train_batch_size": 16}


def saved_head(result) -> tuple[torch.Tensor, torch.Tensor]:
    state = load_file(result.model_dir / "model.safetensors")
    return state["classifier.1.weight"], state["classifier.1.bias"]


def plain_loop(model_dir, image_folder, seed: int, rate: float, epochs: int, batch: int):
    """What a reader of a tutorial would write: frozen backbone in eval mode, SGD on a zero head."""
    model = AutoModelForImageClassification.from_pretrained(model_dir).eval()
    splits = make_splits(load_source(DataConfig(dataset=str(image_folder))), DataConfig(), seed)
    images = splits.train.decode(range(len(splits.train)))
    pixels = torch.cat([processor(16)(images=image, return_tensors="pt")["pixel_values"] for image in images])
    labels = torch.from_numpy(splits.train.targets)
    head = torch.nn.Linear(16, 3)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.SGD(head.parameters(), lr=rate, momentum=0.9)
    for epoch in range(epochs):
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed + epoch))
        for some in order.split(batch):
            with torch.no_grad():
                features = model.resnet(pixels[some]).pooler_output.flatten(1)
            loss = torch.nn.functional.cross_entropy(head(features), labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return head.weight.detach(), head.bias.detach()


@pytest.mark.parametrize("features", ["online", "cached"])
def test_ends_in_the_head_of_a_plain_loop(features, configure, tiny_model, image_folder):
    result = run_training(configure(features=features, augment="none", seed=5, **ONE_RATE))
    weight, bias = saved_head(result)
    expected_weight, expected_bias = plain_loop(tiny_model, image_folder, 5, 0.05, 3, 16)
    assert expected_weight.abs().max() > 0.01, "a head that stays at zero proves nothing"
    torch.testing.assert_close(weight, expected_weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(bias, expected_bias, rtol=1e-4, atol=1e-6)


def test_a_grid_trains_each_head_as_if_it_were_alone(configure, tmp_path):
    rates = [0.0001, 0.05, 100.0]
    grid = run_training(configure(learning_rates=rates))
    chosen = grid.metrics.train.chosen.learning_rate
    alone = run_training(configure(learning_rates=[chosen], output_dir=str(tmp_path / "alone")))
    for ours, theirs in zip(saved_head(grid), saved_head(alone), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "how",
    [{"features": "cached"}, {"features": "online"}, {"solver": "lbfgs"}],
    ids=["cached", "online", "lbfgs"],
)
def test_backbone_is_bit_identical_to_the_pretrained_one(how, configure, tiny_model):
    result = run_training(configure(**how))
    before, after = (
        load_file(tiny_model / "model.safetensors"),
        load_file(result.model_dir / "model.safetensors"),
    )
    assert before.keys() == after.keys()
    for name in before:
        if not name.startswith("classifier"):
            assert torch.equal(before[name], after[name]), name


@pytest.mark.parametrize("solver", ["trainer", "lbfgs"])
def test_model_answers_what_the_predictions_say(solver, configure, image_folder):
    """The saved model, image by image through its own processor."""
    import pyarrow.parquet as pq
    from transformers import AutoImageProcessor

    result = run_training(configure(solver=solver))
    model = AutoModelForImageClassification.from_pretrained(result.model_dir)
    saved = AutoImageProcessor.from_pretrained(result.model_dir)
    table = pq.read_table(result.output_dir / "probe" / "predictions.parquet").to_pydict()
    test = load_source(DataConfig(dataset=str(image_folder))).splits["test"]
    assert table["index"] == list(range(18))
    with torch.no_grad():
        for row, image in enumerate(test.decode(table["index"])):
            scores = model(**saved(images=image, return_tensors="pt")).logits.softmax(1)[0]
            np.testing.assert_allclose(scores.numpy(), table["probabilities"][row], atol=1e-4)
            assert scores.argmax().item() == table["prediction"][row]


def test_augmentation_changes_what_online_features_see(configure, tmp_path):
    plain = run_training(configure(features="online", augment="none", **ONE_RATE))
    augmented = run_training(configure(features="online", output_dir=str(tmp_path / "augmented"), **ONE_RATE))
    assert augmented.metrics.train.augmentation == Augmentation("standard")
    assert not torch.equal(saved_head(plain)[0], saved_head(augmented)[0])


@pytest.mark.parametrize("solver", ["trainer", "lbfgs"])
def test_the_test_split_chooses_nothing(solver, configure, tmp_path, monkeypatch):
    """With other labels on the test images the same head is kept, from the same grid."""
    honest = run_training(configure(solver=solver))
    targets = LabeledImages.targets.fget

    def shifted(self):
        found = targets(self)
        return (found + 1) % 3 if self.name == "test" else found

    monkeypatch.setattr(LabeledImages, "targets", property(shifted))
    misled = run_training(configure(solver=solver, output_dir=str(tmp_path / "misled")))
    assert misled.metrics.test.accuracy != honest.metrics.test.accuracy
    assert misled.metrics.validation == honest.metrics.validation
    assert misled.metrics.train.chosen == honest.metrics.train.chosen
    assert all(torch.equal(a, b) for a, b in zip(saved_head(honest), saved_head(misled), strict=True))


def test_the_grid_keeps_the_head_that_is_best_on_validation(configure):
    """One rate learns nothing, one learns, and the kept one is the one that history says is best."""
    import pandas

    result = run_training(configure(learning_rates=[1e-9, 0.05]))
    history = pandas.read_csv(result.output_dir / "probe" / "history.csv")
    assert len(history) == 3 and history["loss"].notna().all()
    assert {"epoch", "step", "learning_rate/0.05", "validation_accuracy/0.05"} <= set(history.columns)
    last = history.iloc[-1]
    best = max((last[f"validation_accuracy/{rate:g}"], rate) for rate in (1e-9, 0.05))
    assert best[1] == 0.05 == result.metrics.train.chosen.learning_rate
    assert result.metrics.validation.accuracy == pytest.approx(best[0])


def test_a_head_that_diverges_leaves_the_grid_its_others(configure, tmp_path):
    """Also through a checkpoint: the sum of the losses is no number from then on."""
    grid = run_training(configure(learning_rates=[0.05, 1e38], num_train_epochs=4))
    alone = run_training(configure(learning_rates=[0.05], num_train_epochs=4, output_dir=str(tmp_path / "alone")))
    assert grid.metrics.train.chosen.learning_rate == 0.05
    for ours, theirs in zip(saved_head(grid), saved_head(alone), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_both_solvers_learn_the_colours(configure, tmp_path):
    for solver in ("trainer", "lbfgs"):
        result = run_training(configure(solver=solver, num_train_epochs=20, output_dir=str(tmp_path / solver)))
        assert result.metrics.test.accuracy > 0.8


def test_weights_of_a_torchvision_model_go_through_the_whole_probe(configure, tmp_path):
    import torchvision

    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=11)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    result = run_training(configure(model="resnet18", weights=str(tmp_path / "w.pth"), image_size=32))
    state = load_file(result.model_dir / "model.safetensors")
    assert torch.equal(
        state["resnet.encoder.stages.3.layers.1.layer.1.convolution.weight"], network.layer4[1].conv2.weight
    )
    assert torch.equal(state["resnet.embedder.embedder.normalization.running_var"], network.bn1.running_var)


def test_normalisation_of_the_dataset_is_the_same_everywhere_and_warned_of(configure, capfd):
    import json

    from hf_cifar.data.transforms import dataset_statistics

    request = configure(normalization="dataset")
    result, config = run_training(request), request.config
    splits = make_splits(load_source(config.data), config.data, config.seed)
    mean, std = dataset_statistics(splits.train, "colours", config.seed)
    saved = json.loads((result.model_dir / "preprocessor_config.json").read_text())
    assert saved["image_mean"] == mean and saved["image_std"] == std
    assert "differs from the backbone's" in capfd.readouterr().err


def test_training_arguments_are_checked(configure):
    with pytest.raises(InputError, match=r"unknown training argument 'learing_rate': did you mean 'learning_rate'"):
        run_training(configure(learing_rate=0.1))
    with pytest.raises(InputError, match="--remove-unused-columns cannot be set"):
        run_training(configure(remove_unused_columns=True))


def test_repeating_from_run_yaml_gives_identical_metrics(configure, tmp_path):
    from hf_cifar.config.recipes import read_yaml

    first = run_training(configure(seed=3, max_train_samples=30, features="online"))
    values = read_yaml(first.output_dir / "run.yaml")
    again = run_training(resolve(nested({"output_dir": str(tmp_path / "again")}), values))
    for part in ("test", "validation", "dataset"):
        assert getattr(again.metrics, part) == getattr(first.metrics, part)
    assert all(torch.equal(a, b) for a, b in zip(saved_head(first), saved_head(again), strict=True))


def test_other_models_build_with_the_label_names(tiny_model):
    from hf_cifar.config.options.model import ModelConfig

    model = build(ModelConfig(model=str(tiny_model)), ["x", "y"], 0).model
    assert model.config.id2label == {0: "x", 1: "y"} and model.config.label2id == {"x": 0, "y": 1}
