"""Fine-tuning against a plain PyTorch loop, and what may and may not be chosen how."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.models import processor
from transformers import AutoModelForImageClassification

from hf_cifar.config.options.data import DataConfig
from hf_cifar.config.recipes import read_yaml
from hf_cifar.config.run_config import nested
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import ImageDataset
from hf_cifar.data.sources import load_source
from hf_cifar.data.splits import make_splits
from hf_cifar.errors import InputError, TrainingError
from hf_cifar.evaluation.validation_metrics import validation_metrics
from hf_cifar.run.origins import StartKind, StartOrigin
from hf_cifar.run.resolve import resolve
from hf_cifar.stages.train import run_training
from hf_cifar.training.finetune import finetune as finetune_module
from hf_cifar.training.finetune.finetune import Finetune
from hf_cifar.training.finetune.interpolation import STRENGTHS, interpolate
from hf_cifar.training.finetune.trainer import FinetuneTrainer

pytestmark = pytest.mark.usefixtures("no_pictures")

PLAIN = {
    "learning_rate": 0.05,
    "scheduler": "constant",
    "warmup_steps": 0,
    "augment": "none",
    "max_grad_norm": 0.0,
    "train_batch_size": 16,
}


def weights(result, stage: str = "finetune") -> dict[str, torch.Tensor]:
    return load_file(result.output_dir / stage / "model" / "model.safetensors")


def history(result, stage: str = "finetune") -> pandas.DataFrame:
    return pandas.read_csv(result.output_dir / stage / "history.csv")


def checkpoints(result) -> list[Path]:
    folder = result.output_dir / "finetune" / "checkpoints"
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.removeprefix("checkpoint-")))


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def probe(configure):
    """A finished probe of the tiny model, whose folder fine-tuning can start from."""
    return run_training(configure(num_train_epochs=3, learning_rates=[0.02]))


def plain_loop(model_dir, image_folder, seed: int, epochs: int, rate: float, batch: int, update_statistics=False):
    """What a reader of a tutorial would write: all weights by SGD with momentum, BatchNorm in eval mode."""
    model = AutoModelForImageClassification.from_pretrained(model_dir)
    splits = make_splits(load_source(DataConfig(dataset=str(image_folder))), DataConfig(), seed)
    images = splits.train.decode(range(len(splits.train)))
    pixels = torch.cat([processor(16)(images=image, return_tensors="pt")["pixel_values"] for image in images])
    labels = torch.from_numpy(splits.train.targets)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    model.train(update_statistics)
    for epoch in range(epochs):
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed + epoch))
        for some in order.split(batch):
            loss = torch.nn.functional.cross_entropy(model(pixels[some]).logits, labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize("bn", ["eval", "train"])
def test_ends_in_the_weights_of_a_plain_loop(bn, probe, configure, image_folder):
    config = configure(stage="finetune", num_train_epochs=3, bn=bn, **PLAIN)
    result = run_training(config)
    expected = plain_loop(probe.model_dir, image_folder, 0, 3, 0.05, 16, update_statistics=bn == "train")
    ours = load_file(checkpoints(result)[-1] / "model.safetensors")
    before = weights(probe, "probe")
    assert (expected["classifier.1.weight"] - before["classifier.1.weight"]).abs().max() > 0.01
    for name, value in ours.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6, msg=name)
    for name in ours:
        if "running" in name or "num_batches" in name:
            assert torch.equal(ours[name], before[name]) == (bn == "eval"), name


@pytest.mark.parametrize("size", [16, 20])
def test_accumulation_takes_the_steps_of_the_whole_batch(size, probe, configure, tmp_path):
    """Also where the last step of an epoch has fewer images, or an odd number of them."""
    options = PLAIN | {"stage": "finetune", "num_train_epochs": 2, "from_": str(probe.model_dir)}
    options["train_batch_size"] = size
    whole = run_training(configure(**options, output_dir=str(tmp_path / "whole")))
    options |= {"train_batch_size": size // 2, "gradient_accumulation_steps": 2}
    parts = run_training(configure(**options, output_dir=str(tmp_path / "parts")))
    assert whole.metrics.train.chosen.step == parts.metrics.train.chosen.step
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(parts)[name], value, rtol=1e-4, atol=1e-6)
    assert history(parts)["loss"].tolist() == pytest.approx(history(whole)["loss"].tolist(), rel=1e-4)


def test_pixels_that_are_finished_on_the_device_train_the_same_weights(probe, configure, tmp_path, monkeypatch):
    """Bytes and draws from the loader, everything else in the step: as on an accelerator, here on the CPU."""
    options = {"stage": "finetune", "num_train_epochs": 2, **PLAIN, "from_": str(probe.model_dir)}
    options |= {"augment": "trivial", "random_erasing": 0.5, "mixup": 0.4, "cutmix": 1.0}
    here = run_training(configure(**options, output_dir=str(tmp_path / "here")))
    finished = []

    class Raw(ImageDataset):
        def __init__(self, images, transform, **_):
            super().__init__(images, transform, finished=transform.augmentation.name == "none")
            finished.append(self.finished)

    monkeypatch.setattr("hf_cifar.training.finetune.finetune.ImageDataset", Raw)
    there = run_training(configure(**options, output_dir=str(tmp_path / "there")))
    assert set(finished) == {True, False}
    assert same(weights(here), weights(there))
    assert 0 < there.metrics.train.input_wait_fraction < 1


def test_recomputed_activations_change_nothing(probe, configure, tmp_path):
    options = {"stage": "finetune", "num_train_epochs": 1, **PLAIN, "from_": str(probe.model_dir)}
    kept = run_training(configure(**options, output_dir=str(tmp_path / "kept")))
    again = run_training(configure(**options, gradient_checkpointing=True, output_dir=str(tmp_path / "again")))
    for name, value in weights(kept).items():
        torch.testing.assert_close(weights(again)[name], value, rtol=1e-5, atol=1e-7)
    with pytest.raises(InputError, match="--gradient-checkpointing with --bn train"):
        run_training(configure(**options, gradient_checkpointing=True, bn="train", output_dir=str(tmp_path / "bn")))


# Where it starts


def test_lpft_is_the_probe_and_then_the_finetune_of_it(configure, tmp_path):
    together = run_training(configure(stage="lpft", num_train_epochs=2, output_dir=str(tmp_path / "together")))
    apart = {"output_dir": str(tmp_path / "apart"), "num_train_epochs": 2}
    run_training(configure(**{**apart, "num_train_epochs": 20}, train_batch_size=256, per_device_train_batch_size=256))
    second = run_training(configure(stage="finetune", **apart))
    assert second.metrics.train.start == StartOrigin(StartKind.PROBE)
    assert together.summary()["stage"] == "lpft"
    assert together.summary()["probe_accuracy"] == together.before.metrics.test.accuracy
    assert same(weights(together), weights(second))
    assert read_yaml(tmp_path / "apart" / "run.yaml")["stage"] == "lpft", "so that it repeats both"


def test_from_names_a_run_a_stage_or_a_model(probe, configure, tmp_path):
    ends = []
    for number, place in enumerate((probe.output_dir, probe.output_dir / "probe", probe.model_dir)):
        options = {"from_": str(place), "output_dir": str(tmp_path / f"from{number}"), "num_train_epochs": 1}
        ends.append(weights(run_training(configure(stage="finetune", **options))))
    assert same(ends[0], ends[1]) and same(ends[0], ends[2])
    with pytest.raises(InputError, match="no such folder"):
        run_training(configure(stage="finetune", from_=str(tmp_path / "gone"), output_dir=str(tmp_path / "x")))
    with pytest.raises(InputError, match="has no saved model"):
        run_training(configure(stage="finetune", from_=str(tmp_path), output_dir=str(tmp_path / "x")))


def test_overwrite_does_not_remove_what_it_is_to_start_from(configure, tmp_path):
    first = run_training(configure(stage="finetune", num_train_epochs=1))
    with pytest.raises(InputError, match="--overwrite would remove"):
        run_training(configure(stage="finetune", num_train_epochs=1, overwrite=True, from_=str(first.output_dir)))
    assert (first.model_dir / "model.safetensors").is_file()


def test_from_the_pretrained_model_it_gets_a_new_head_unless_its_labels_are_these(configure, tiny_model, tmp_path):
    options = {"stage": "finetune", "num_train_epochs": 1, "learning_rate": 1e-30, "scheduler": "constant"}
    fresh = run_training(configure(**options))
    assert fresh.metrics.train.start.new_head
    folder = tmp_path / "mine"
    shutil.copytree(fresh.model_dir, folder)
    kept = run_training(configure(**options, model=str(folder), output_dir=str(tmp_path / "kept")))
    assert same(weights(kept), weights(fresh)) and not kept.metrics.train.start.new_head
    described = json.loads((folder / "config.json").read_text())
    described["id2label"] = {"0": "red", "1": "green", "2": "blue"}
    (folder / "config.json").write_text(json.dumps(described))
    other = run_training(configure(**options, model=str(folder), output_dir=str(tmp_path / "other"), seed=1))
    assert other.metrics.train.start.new_head, "the same names in another order are other logits"
    assert not torch.equal(weights(other)["classifier.1.weight"], weights(fresh)["classifier.1.weight"])


def test_a_probe_of_other_images_is_not_gone_on_from(probe, configure):
    with pytest.raises(InputError, match="has seed 0, not 5"):
        run_training(configure(stage="finetune", seed=5))
    with pytest.raises(InputError, match=r"has data.max_train_samples None, not 30"):
        run_training(configure(stage="finetune", max_train_samples=30))


def test_validation_images_that_were_trained_on_are_warned_of(probe, configure, tmp_path, capfd):
    options = {"stage": "finetune", "from_": str(probe.output_dir), "num_train_epochs": 1}
    run_training(configure(**options, output_dir=str(tmp_path / "same")))
    assert "were trained on" not in capfd.readouterr().err
    run_training(configure(**options, output_dir=str(tmp_path / "other"), seed=7))
    assert "validation images were trained on by the run in" in capfd.readouterr().err


# What trains


def test_the_table_of_groups_says_what_the_optimizer_holds(configure, capfd):
    result = run_training(
        configure(stage="finetune", num_train_epochs=1, layer_decay=0.5, weight_decay=0.1, learning_rate=0.08)
    )
    table = pandas.read_csv(result.output_dir / "finetune" / "parameter_groups.csv")
    assert table["parameters"].sum() == result.metrics.train.trainable_parameters
    assert result.metrics.train.trainable_parameters == result.metrics.train.total_parameters
    rates = table.groupby("group")["learning_rate"].first()
    assert rates["head"] == 0.08 and rates["resnet.embedder"] == pytest.approx(0.01)
    assert set(table["weight_decay"]) == {0.0, 0.1}
    assert "learning rate  weight decay" in capfd.readouterr().err


def test_layers_by_name_train_and_the_others_do_not_move(probe, configure, tmp_path):
    options = {"stage": "finetune", "bn": "train", "from_": str(probe.model_dir), "num_train_epochs": 2}
    result = run_training(configure(**options, unfreeze="stages.1", output_dir=str(tmp_path / "some")))
    before, after = weights(probe, "probe"), weights(result)
    for name, value in after.items():
        trains = name.startswith(("resnet.encoder.stages.1", "classifier"))
        assert torch.equal(value, before[name]) != trains, name
    assert set(pandas.read_csv(tmp_path / "some" / "finetune" / "parameter_groups.csv")["group"]) == {
        "resnet.encoder.stages.1",
        "head",
    }
    with pytest.raises(InputError, match=r"unknown layer 'stages.7': did you mean 'stages.[01]'"):
        run_training(configure(**options, unfreeze="stages.7", output_dir=str(tmp_path / "x")))
    with pytest.raises(InputError, match="several layers are named 'convolution'"):
        run_training(configure(**options, unfreeze="convolution", output_dir=str(tmp_path / "x")))


def test_gradual_unfreezing_moves_each_group_from_its_epoch_on(probe, configure, tmp_path):
    """Weights and statistics, seen in the checkpoints of the epochs."""
    result = run_training(
        configure(
            stage="finetune",
            from_=str(probe.model_dir),
            unfreeze="gradual",
            bn="train",
            num_train_epochs=4,
            save_total_limit=9,
            learning_rate=0.05,
            weight_decay=0.1,
            output_dir=str(tmp_path / "gradual"),
        )
    )
    table = pandas.read_csv(result.output_dir / "finetune" / "parameter_groups.csv").groupby("group").first()
    assert dict(table["trains_from_epoch"]) == {
        "head": 0,
        "resnet.encoder.stages.1": 0,
        "resnet.encoder.stages.0": 1,
        "resnet.embedder": 2,
    }
    states = [weights(probe, "probe"), *(load_file(path / "model.safetensors") for path in checkpoints(result))]
    assert len(states) == 5
    starts = {**table["trains_from_epoch"], "classifier": 0}
    for epoch in range(4):
        for name, value in states[epoch + 1].items():
            start = next(start for group, start in starts.items() if name.startswith(group))
            assert torch.equal(value, states[epoch][name]) == (epoch < start), f"{name} in epoch {epoch}"


def test_a_group_that_is_unfrozen_late_gets_the_current_point_of_the_schedule(probe, configure, tmp_path, monkeypatch):
    """The first step of the stem is what torch's SGD makes of its first gradient at that step's rate."""
    seen = []
    step = FinetuneTrainer.training_step

    def watched(self, model, *args, **kwargs):
        loss = step(self, model, *args, **kwargs)
        stem = model.resnet.embedder.embedder.convolution.weight
        gradient = None if stem.grad is None else stem.grad.clone()
        seen.append((self.optimizer.param_groups[0]["lr"], gradient, stem.detach().clone()))
        return loss

    monkeypatch.setattr(FinetuneTrainer, "training_step", watched)
    options = PLAIN | {"scheduler": "linear", "layer_decay": 0.5, "from_": str(probe.model_dir)}
    run_training(
        configure(stage="finetune", unfreeze="gradual", num_train_epochs=3, **options, output_dir=str(tmp_path / "g"))
    )
    first = 2 * 4
    assert all(gradient is None for _, gradient, _ in seen[:first])
    rate, gradient, before = seen[first]
    assert rate == pytest.approx(0.05 * 0.5**3 * (1 - first / 12))
    torch.testing.assert_close(seen[first + 1][2], before - rate * gradient, rtol=1e-5, atol=1e-8)


def test_a_vit_is_fine_tuned_by_its_own_recipe(configure, image_folder, tmp_path):
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    ViTForImageClassification(ViTConfig(**sizes, image_size=16, patch_size=8)).save_pretrained(tmp_path / "vit")
    processor(16).save_pretrained(tmp_path / "vit")
    options = {"model": str(tmp_path / "vit"), "stage": "lpft", "unfreeze": "gradual", "layer_decay": 0.8}
    config = configure(**options, num_train_epochs=3)
    assert config.config.recipe == "vit"
    result = run_training(config)
    assert result.metrics.train.optimizer == "adamw_torch" and result.metrics.train.scheduler == "linear"
    states = [weights(result, "probe"), *(load_file(path / "model.safetensors") for path in checkpoints(result))]
    last = [name for name in states[0] if name.startswith("vit.embeddings")]
    assert last and all(torch.equal(states[0][name], states[-2][name]) for name in last), (
        "their turn is the third epoch"
    )
    assert any(not torch.equal(states[-2][name], states[-1][name]) for name in last)


def test_a_wrapped_torchvision_resnet_is_fine_tuned_and_saved_as_a_native_one(configure, image_folder):
    import pyarrow.parquet as pq
    from transformers import AutoImageProcessor

    options = {"model": "resnet18", "weights": "none", "image_size": 32, "num_train_epochs": 1, "unfreeze": "layer4"}
    result = run_training(configure(stage="finetune", **options))
    table = pandas.read_csv(result.output_dir / "finetune" / "parameter_groups.csv")
    assert set(table["group"]) == {"network.layer4", "head"}
    model = AutoModelForImageClassification.from_pretrained(result.model_dir)
    assert type(model).__name__ == "ResNetForImageClassification"
    saved = AutoImageProcessor.from_pretrained(result.model_dir)
    images = load_source(DataConfig(dataset=str(image_folder))).splits["test"].decode(range(18))
    with torch.no_grad():
        scores = model(**saved(images=images, return_tensors="pt")).logits.softmax(1)
    written = pq.read_table(result.output_dir / "finetune" / "predictions.parquet").to_pydict()["probabilities"]
    np.testing.assert_allclose(scores.numpy(), written, atol=1e-5)


# What is chosen, and on what


def test_the_best_epoch_by_validation_is_what_is_saved(configure):
    result = run_training(configure(stage="lpft", num_train_epochs=6, learning_rate=0.2, scheduler="constant"))
    rows = history(result)
    best = rows["validation_accuracy"].idxmax()
    chosen = result.metrics.train.chosen
    assert chosen.step == rows["step"][best] and chosen.value == rows["validation_accuracy"][best]
    assert result.metrics.validation.accuracy == pytest.approx(rows["validation_accuracy"][best])
    checkpoint = result.output_dir / "finetune" / "checkpoints" / f"checkpoint-{chosen.step}"
    assert same(load_file(checkpoint / "model.safetensors"), weights(result))


@pytest.mark.parametrize("metric", ["nll", "f1_macro"])
def test_the_best_epoch_by_another_metric(metric, configure):
    result = run_training(configure(stage="finetune", num_train_epochs=4, learning_rate=0.1, selection_metric=metric))
    values = history(result)[f"validation_{metric}"]
    assert result.metrics.train.chosen.epoch == (values.idxmin() if metric == "nll" else values.idxmax()) + 1


def test_the_test_split_chooses_nothing(configure, tmp_path, monkeypatch):
    """With other labels on the test images the same epoch and strength are kept, of the same weights."""
    options = {"stage": "lpft", "num_train_epochs": 4, "learning_rate": 0.1, "interpolate": "auto", "early_stopping": 2}
    honest = run_training(configure(**options))
    targets = LabeledImages.targets.fget

    def shifted(self):
        found = targets(self)
        return (found + 1) % 3 if self.name == "test" else found

    monkeypatch.setattr(LabeledImages, "targets", property(shifted))
    misled = run_training(configure(**options, output_dir=str(tmp_path / "misled")))
    assert misled.metrics.test.accuracy != honest.metrics.test.accuracy
    assert misled.metrics.validation == honest.metrics.validation
    assert misled.metrics.train.chosen == honest.metrics.train.chosen
    assert same(weights(honest), weights(misled))


def test_what_chooses_refuses_the_test_split(configure, probe):
    from hf_cifar.training.finetune.interpolation import choose_strength
    from hf_cifar.training.finetune.starting_point import find_start

    request = configure(stage="finetune")
    config = request.config
    source = load_source(config.data)
    splits = make_splits(source, config.data, config.seed)
    start = find_start(request, source.label_names)
    with pytest.raises(ValueError, match="the best epoch must be chosen on validation, never on test"):
        Finetune(
            config, start, start.processor, splits.train, splits.test, source.label_names, None, validation_metrics
        )
    with pytest.raises(ValueError, match="never on test"):
        choose_strength(start.model, start.processor, {}, {}, splits.test)


def test_early_stopping_stops_after_its_patience(configure, tmp_path):
    options = {"stage": "lpft", "num_train_epochs": 12, "learning_rate": 0.2, "early_stopping": 2}
    result = run_training(configure(**options))
    values = history(result)["validation_accuracy"].tolist()
    best = values.index(max(values))
    assert len(values) == best + 3 < 12, "two epochs after the best one"
    folder = result.output_dir / "finetune"
    (folder / "metrics.json").unlink()
    shutil.rmtree(folder / "model")
    again = run_training(configure(**options, resume=True))
    assert history(again)["validation_accuracy"].tolist() == values, "a resumed run does not train past the stop"
    assert again.metrics.test == result.metrics.test


def test_averaged_weights_are_the_average_of_the_steps(configure, monkeypatch):
    seen = []
    step = FinetuneTrainer.training_step

    def watched(self, model, *args, **kwargs):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return step(self, model, *args, **kwargs)

    monkeypatch.setattr(FinetuneTrainer, "training_step", watched)
    result = run_training(configure(stage="finetune", bn="train", num_train_epochs=1, learning_rate=0.1, ema=0.8))
    checkpoint = result.output_dir / "finetune" / "checkpoints" / "checkpoint-4"
    seen.append(load_file(checkpoint / "model.safetensors"))
    for name, value in weights(result).items():
        if not value.is_floating_point():
            assert torch.equal(value, seen[-1][name])
            continue
        average = seen[0][name].double()
        for later in seen[1:]:
            average = 0.8 * average + 0.2 * later[name].double()
        torch.testing.assert_close(value.double(), average, rtol=1e-5, atol=1e-7)
    assert not same(weights(result), seen[-1])


def test_interpolation_lies_between_the_probe_and_the_last_weights(configure, tmp_path):
    options = {"stage": "lpft", "num_train_epochs": 2, "learning_rate": 0.2}
    whole = run_training(configure(**options))
    half = run_training(configure(**options, interpolate="0.25", output_dir=str(tmp_path / "half")))
    start, end = weights(whole, "probe"), weights(whole)
    for name, value in weights(half).items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * start[name] + 0.25 * end[name], rtol=1e-5, atol=1e-7)
    assert same(interpolate(start, end, 0.0), start) and same(interpolate(start, end, 1.0), end)


def test_the_strength_of_interpolation_is_the_best_on_validation(configure, tmp_path):
    request = configure(stage="lpft", num_train_epochs=2, learning_rate=0.2, learning_rates=[0.02], interpolate="auto")
    auto, config = run_training(request), request.config
    start = weights(auto, "probe")
    best = checkpoints(auto)[0].with_name(f"checkpoint-{auto.metrics.train.chosen.step}")
    end = load_file(best / "model.safetensors")
    model = AutoModelForImageClassification.from_pretrained(auto.model_dir)
    validation = make_splits(load_source(config.data), config.data, config.seed).validation
    images, labels = validation.decode(range(len(validation))), torch.from_numpy(validation.targets)
    pixels = processor(16)(images=images, return_tensors="pt")["pixel_values"]
    found = {}
    for strength in STRENGTHS:
        mixed = {name: start[name] + strength * (value - start[name]) for name, value in end.items() if value.ndim}
        model.load_state_dict(mixed, strict=False)
        with torch.no_grad():
            logits = model(pixels).logits
        accuracy = (logits.argmax(1) == labels).double().mean()
        found[strength] = (-float(accuracy), float(torch.nn.functional.cross_entropy(logits.double(), labels)))
    assert auto.metrics.train.chosen.interpolation == min(found, key=found.get)
    with pytest.raises(InputError, match="needs a start with a trained head"):
        run_training(configure(stage="finetune", interpolate="auto", output_dir=str(tmp_path / "untrained")))


# What goes wrong


def test_a_loss_that_is_no_number_stops_with_step_rate_and_advice(configure, monkeypatch):
    step = FinetuneTrainer.compute_loss

    def broken(self, model, inputs, *args, **kwargs):
        if self.state.global_step == 6 and model.training:
            inputs = {**inputs, "pixel_values": inputs["pixel_values"] * float("nan")}
        return step(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(FinetuneTrainer, "compute_loss", broken)
    options = {"stage": "finetune", "num_train_epochs": 3, "learning_rate": 0.04, "scheduler": "constant"}
    with pytest.raises(TrainingError, match=r"loss became nan at step 7 .* rate of 0.04: try a lower --learning-rate"):
        run_training(configure(**options, warmup_steps=0))
    monkeypatch.undo()
    good = run_training(configure(**options, warmup_steps=0, resume=True))
    assert len(history(good)) == 3, "the last good checkpoint stayed, and was gone on from"


def test_a_rate_that_is_far_too_high_stops_the_run(configure, tmp_path):
    with pytest.raises(TrainingError, match="try a lower --learning-rate"):
        run_training(
            configure(stage="finetune", num_train_epochs=3, learning_rate=1e30, max_grad_norm=0.0, warmup_steps=0)
        )
    assert not list((tmp_path / "run" / "finetune" / "checkpoints").glob("*/complete.json"))


def test_weights_that_are_no_numbers_are_no_checkpoint(configure, tmp_path, monkeypatch):
    """The last step of the second epoch spoils a weight: no loss has shown it yet."""
    step = FinetuneTrainer.training_step

    def spoiled(self, model, *args, **kwargs):
        loss = step(self, model, *args, **kwargs)
        if self.state.global_step == 7:
            model.classifier[1].weight.grad[0, 0] = float("inf")
        return loss

    monkeypatch.setattr(FinetuneTrainer, "training_step", spoiled)
    options = {"stage": "finetune", "num_train_epochs": 3, "max_grad_norm": 0.0}
    with pytest.raises(TrainingError, match=r"weights became infinite or NaN at step 8 \(such as "):
        run_training(configure(**options))
    monkeypatch.undo()
    assert len(history(run_training(configure(**options, resume=True)))) == 3, (
        "the good checkpoint of the first epoch stayed"
    )


def test_a_probe_that_diverges_says_so(configure):
    with pytest.raises(TrainingError, match=r"loss became|every head has diverged"):
        run_training(configure(learning_rate=1e38))
    with pytest.raises(TrainingError, match=r"every head has diverged .* add lower ones to --learning-rates"):
        run_training(configure(learning_rates=[1e38, 3e38], overwrite=True))


@pytest.mark.parametrize("size", [16, 15])
def test_out_of_memory_divides_the_batch_and_ends_in_the_same_weights(size, configure, tmp_path, monkeypatch):
    options = {"stage": "finetune", "num_train_epochs": 3, **PLAIN, "train_batch_size": size}
    whole = run_training(configure(**options))
    step = FinetuneTrainer.training_step

    def small_memory(self, model, inputs, *args, **kwargs):
        if self.state.global_step == 6 and len(inputs["labels"]) > 8:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return step(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(FinetuneTrainer, "training_step", small_memory)
    with pytest.raises(RuntimeError, match="out of memory"):
        run_training(configure(**options, output_dir=str(tmp_path / "fails")))
    found = run_training(configure(**options, auto_find_batch_size=True, output_dir=str(tmp_path / "found")))
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(found)[name], value, rtol=1e-4, atol=1e-6)
    assert history(found)["step"].tolist() == history(whole)["step"].tolist()


# Repeating, and how evaluation sees images


def test_run_yaml_repeats_a_run_to_identical_metrics(configure, tmp_path):
    first = run_training(
        configure(stage="lpft", seed=3, num_train_epochs=2, augment="trivial", mixup=0.4, random_erasing=0.5)
    )
    values = read_yaml(first.output_dir / "run.yaml")
    again = run_training(resolve(nested({"output_dir": str(tmp_path / "again")}), values))
    for part in ("test", "validation", "dataset"):
        assert getattr(again.metrics, part) == getattr(first.metrics, part)
    assert same(weights(first), weights(again))


def test_workers_change_nothing(configure, tmp_path):
    options = {"stage": "finetune", "num_train_epochs": 2, "augment": "rand", "cutmix": 1.0, "random_erasing": 0.5}
    alone = run_training(configure(**options))
    helped = run_training(
        configure(
            **options, dataloader_num_workers=2, dataloader_persistent_workers=True, output_dir=str(tmp_path / "helped")
        )
    )
    assert same(weights(alone), weights(helped))


def test_the_seed_rules_everything(configure, tmp_path):
    one = run_training(configure(stage="finetune", num_train_epochs=1))
    other = run_training(configure(stage="finetune", num_train_epochs=1, seed=1, output_dir=str(tmp_path / "other")))
    assert not torch.equal(weights(one)["classifier.1.weight"], weights(other)["classifier.1.weight"])


def test_label_smoothing_is_torchs_and_of_training_alone(configure, monkeypatch):
    losses = {}
    step = FinetuneTrainer.compute_loss

    def watched(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss, outputs = step(self, model, inputs, True, num_items_in_batch)
        smoothing = 0.3 if model.training else 0.0
        expected = torch.nn.functional.cross_entropy(outputs["logits"], inputs["labels"], label_smoothing=smoothing)
        losses.setdefault(model.training, []).append((float(loss.detach()), float(expected.detach())))
        return (loss, outputs) if return_outputs else loss

    monkeypatch.setattr(FinetuneTrainer, "compute_loss", watched)
    run_training(configure(stage="finetune", num_train_epochs=1, label_smoothing_factor=0.3))
    assert set(losses) == {True, False}
    for found in losses.values():
        for ours, expected in found:
            assert ours == pytest.approx(expected, rel=1e-5)


def test_two_passes_of_evaluation_give_identical_logits(configure):
    from hf_cifar.models.predict import predict_logits

    config = configure(stage="finetune", augment="rand", random_erasing=1.0, mixup=1.0, num_train_epochs=1)
    result = run_training(config)
    model = AutoModelForImageClassification.from_pretrained(result.model_dir)
    images = load_source(config.config.data).splits["test"]
    passes = [predict_logits(model, processor(16), images, "x") for _ in range(2)]
    assert np.array_equal(*passes)
    chosen = result.metrics.train.chosen
    assert result.metrics.validation.accuracy == pytest.approx(chosen.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"save_strategy": "no"}, "the best epoch is kept by its checkpoint"),
        ({"eval_strategy": "steps"}, "--eval-strategy cannot be set"),
        ({"train_batch_size": 0}, "--train-batch-size is 0"),
        ({"ema": 1.0}, "--ema is 1.0"),
        ({"layer_decay": 0.0}, "--layer-decay is 0.0"),
        ({"interpolate": "2"}, "--interpolate is '2'"),
        ({"unfreeze": ","}, "--unfreeze names nothing"),
        ({"from_": "x/y", "stage": "lpft"}, "--from does nothing with --stage lpft"),
        ({"early_stopping": 0}, "--early-stopping is 0"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_done(options, message, configure, tmp_path):
    with pytest.raises(InputError, match=message):
        run_training(configure(**{"stage": "finetune", **options}))
    assert not (tmp_path / "run").exists()


def test_arguments_of_both_stages_are_checked_before_the_first(configure, tmp_path):
    with pytest.raises(InputError, match="use --scheduler"):
        run_training(configure(stage="lpft", lr_scheduler_type="linear"))
    assert not (tmp_path / "run" / "probe" / "model").exists()


def test_a_damaged_best_checkpoint_is_named(configure, monkeypatch):
    choose = Finetune._choose

    def damaged(self, state):
        path = self.folder.checkpoints / f"checkpoint-{state.best_global_step}" / "model.safetensors"
        save_file({"x": torch.zeros(1)}, path)
        return choose(self, state)

    monkeypatch.setattr(finetune_module.Finetune, "_choose", damaged)
    with pytest.raises(TrainingError, match="is gone or damaged"):
        run_training(configure(stage="finetune", num_train_epochs=1))
