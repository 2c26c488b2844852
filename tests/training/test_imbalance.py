"""Classes of unequal size, against scikit-learn, PyTorch and formulas worked out by hand."""

import json
import shutil

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from hf_cifar.config.options.imbalance import ImbalanceConfig
from hf_cifar.errors import InputError
from hf_cifar.stages.train import run_training
from hf_cifar.training.callbacks import EpochCallback
from hf_cifar.training.imbalance import Rebalancing, balanced_weights, effective_weights, log_priors, rebalancing
from hf_cifar.training.loss import summed_cross_entropy
from hf_cifar.training.probe.features import Features
from hf_cifar.training.probe.grid import GridTrainer
from hf_cifar.training.probe.heads import FeatureDataset, HeadGrid
from hf_cifar.training.selection import Score
from hf_cifar.training.trainer import training_arguments

LABELS = np.repeat([0, 1, 2], [14, 5, 1])


def test_balanced_weights_are_those_of_scikit_learn():
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(balanced_weights(np.bincount(LABELS)), theirs, rtol=1e-15)
    found = rebalancing(ImbalanceConfig(class_weights="balanced"), LABELS, 3).weights
    np.testing.assert_allclose(found, theirs, rtol=1e-15)
    assert balanced_weights(np.array([3, 0, 1])).tolist() == [4 / 6, 1.0, 2.0], "an absent class takes no share"


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.9999])
def test_effective_weights_are_in_proportion_to_the_inverse_effective_number(beta):
    counts = np.array([14, 5, 1])
    effective = np.array([sum(beta**power for power in range(count)) for count in counts])
    weights = effective_weights(counts, beta)
    np.testing.assert_allclose(weights * effective / (weights[0] * effective[0]), 1, rtol=1e-10)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1), "a mean of 1 over the images"


def test_logit_offsets_are_the_logarithms_of_the_frequencies():
    offsets = rebalancing(ImbalanceConfig(logit_adjustment=1.5), LABELS, 4).offsets
    np.testing.assert_allclose(offsets, 1.5 * np.log([14 / 20, 5 / 20, 1 / 20, 1 / 20]))


@pytest.mark.parametrize(
    "options", [{"class_weights": "balanced"}, {"class_weights": "effective"}, {"balanced_sampling": True}]
)
def test_classes_of_equal_size_need_nothing(options):
    found = rebalancing(ImbalanceConfig(**options), np.array([1, 0, 2, 0, 1, 2]), 3)
    assert found == Rebalancing()


def test_the_loss_is_that_of_torch_with_smoothed_and_with_mixed_labels():
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 3), torch.tensor([0, 2, 1, 1, -100, 0])
    weights, offsets = torch.tensor([0.5, 1.0, 3.0]), torch.tensor([-0.1, -1.0, -3.0])
    kept = labels >= 0
    for smoothing in (0.0, 0.2):
        theirs = nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing, reduction="sum")
        ours = summed_cross_entropy({"logits": logits}, labels, smoothing=smoothing, weights=weights)
        torch.testing.assert_close(ours, theirs(logits[kept], labels[kept]))
        ours = summed_cross_entropy({"logits": logits}, labels, smoothing=smoothing, offsets=offsets)
        plain = nn.CrossEntropyLoss(label_smoothing=smoothing, reduction="sum")
        torch.testing.assert_close(ours, plain((logits + offsets)[kept], labels[kept]))
    mixed = torch.tensor([[0.7, 0.0, 0.3]]).expand(6, 3)
    by_hand = -(0.7 * 0.5 * logits.log_softmax(1)[:, 0] + 0.3 * 3.0 * logits.log_softmax(1)[:, 2]).sum()
    torch.testing.assert_close(
        summed_cross_entropy({"logits": logits}, labels, targets=mixed, weights=weights), by_hand
    )


def dataset():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 4)).astype(np.float32)
    return FeatureDataset(Features(LABELS, 0, 0.0, [values], np.zeros(20, dtype=np.int64), np.arange(20)))


def trained(folder, balance, **given):
    heads = HeadGrid(4, 3, 1)
    values = {"optim": "sgd", "num_train_epochs": 2, "lr_scheduler_type": "constant", "learning_rate": 0.5, **given}
    options = {"train_dataset": dataset(), "eval_dataset": dataset(), "callbacks": [EpochCallback()]}
    args = training_arguments(values, folder, 0)
    trainer = GridTrainer(
        heads, args, resume=None, heads=heads, learning_rates=[0.5], momentum=0.9, balance=balance, **options
    )
    trainer.run()
    return heads.layers[0]


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("kind", ["weights", "offsets"])
def test_training_is_a_plain_loop_with_torch_s_loss(kind, parts, tmp_path):
    """Whatever the parts of an accumulated step: images are counted, and not the weights of a part."""
    option = {"class_weights": "balanced"} if kind == "weights" else {"logit_adjustment": 1.0}
    balance = rebalancing(ImbalanceConfig(**option), LABELS, 3)
    ours = trained(tmp_path, balance, train_batch_size=8 // parts, gradient_accumulation_steps=parts, max_grad_norm=0.0)
    data, head = dataset(), nn.Linear(4, 3)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    weight = torch.from_numpy(compute_class_weight("balanced", classes=np.arange(3), y=LABELS)).float()
    loss = nn.CrossEntropyLoss(weight=weight if kind == "weights" else None, reduction="sum")
    offsets = torch.log(torch.tensor([14.0, 5.0, 1.0]) / 20) if kind == "offsets" else 0.0
    optimizer = torch.optim.SGD(head.parameters(), lr=0.5, momentum=0.9)
    for epoch in range(2):
        for rows in torch.randperm(20, generator=torch.Generator().manual_seed(epoch)).split(8):
            batch = data.__getitems__(rows.tolist())
            optimizer.zero_grad()
            (loss(head(batch["features"]) + offsets, batch["labels"]) / len(rows)).backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, head.weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(ours.bias, head.bias, rtol=1e-4, atol=1e-6)


def test_balanced_sampling_shows_every_class_equally_often(tmp_path, monkeypatch):
    seen, take = [], FeatureDataset.__getitems__

    def recording(self, positions):
        batch = take(self, positions)
        seen.extend(batch["labels"].tolist() if len(positions) < 20 else [])
        return batch

    monkeypatch.setattr(FeatureDataset, "__getitems__", recording)
    trained(tmp_path, Rebalancing(sampling=True), train_batch_size=7, per_device_eval_batch_size=20)
    assert len(seen) == 40 and set(np.bincount(seen)) <= {13, 14}


def test_evaluation_sees_the_model_s_own_logits(tmp_path):
    heads = HeadGrid(4, 3, 1)
    args = training_arguments({"optim": "sgd"}, tmp_path, 0)
    offsets = Rebalancing(offsets=torch.from_numpy(log_priors(np.bincount(LABELS))))
    trainer = GridTrainer(
        heads,
        args,
        resume=None,
        heads=heads,
        learning_rates=[0.1],
        momentum=0.0,
        balance=offsets,
        callbacks=[],
        train_dataset=dataset(),
        eval_dataset=dataset(),
    )
    batch = dataset().__getitems__(range(20))
    assert trainer.compute_loss(heads.eval(), batch).item() == pytest.approx(np.log(3), rel=1e-6)
    assert trainer.compute_loss(heads.train(), batch).item() == pytest.approx(
        -np.log(np.array([14, 5, 1]) / 20)[LABELS].mean(), rel=1e-5
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class_weights": "balanced", "balanced_sampling": True}, "--class-weights balanced and --balanced-sampling"),
        ({"logit_adjustment": 1.0, "class_weights": "effective"}, "exclude each other"),
        ({"effective_beta": 0.9}, "--effective-beta does nothing without"),
        ({"balanced_sampling": True, "solver": "lbfgs"}, "use --class-weights balanced"),
        ({"class_weights": "auto"}, "class_weights"),
    ],
)
def test_what_does_not_go_together_is_refused(options, words, configure):
    with pytest.raises(InputError, match=words):
        configure(**options)


@pytest.fixture
def few_red(image_folder, tmp_path):
    """The colours with 20, 20 and 5 training images."""
    folder = tmp_path / "few-red"
    shutil.copytree(image_folder, folder)
    for path in sorted((folder / "train" / "red").iterdir())[5:]:
        path.unlink()
    return str(folder)


def saved(result):
    return (result.model_dir / "model.safetensors").read_bytes()


@pytest.mark.usefixtures("no_pictures")
def test_weights_of_one_are_bit_identical_to_none(configure, tmp_path):
    """The colours are of equal size, in the probe and in fine-tuning alike."""
    models = []
    for weights in ("none", "balanced"):
        options = {"output_dir": str(tmp_path / weights), "class_weights": weights, "num_train_epochs": 1}
        result = run_training(configure(stage="lpft", **options))
        models.append((saved(result), saved(result.before), (result.folder.history).read_text()))
        assert not result.metrics.train.balancing.is_on
    assert models[0] == models[1]
    for step in (result, result.before):
        assert "validation_balanced_accuracy" in step.folder.history.read_text().split("\n")[0]
        recalls = [row["recall"] for row in step.metrics.to_dict()["test"]["per_class"].values()]
        assert step.metrics.to_dict()["test"]["balanced_accuracy"] == pytest.approx(np.mean(recalls))


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    "options", [{"class_weights": "effective", "mixup": 0.4}, {"logit_adjustment": 1.0}, {"balanced_sampling": True}]
)
def test_fine_tuning_of_unequal_classes(options, configure, few_red, tmp_path):
    """It is another model than without; an accumulated step is the same step, with label smoothing and MixUp too."""
    shared = {"stage": "finetune", "dataset": few_red, "num_train_epochs": 1, "label_smoothing_factor": 0.1}
    models = []
    for name, batch in (("whole", 16), ("parts", 4)):
        own = {"train_batch_size": batch, "gradient_accumulation_steps": 16 // batch, "max_grad_norm": 0.0}
        result = run_training(configure(**shared, **own, **options, output_dir=str(tmp_path / name)))
        models.append(torch.cat([value.flatten() for value in state(result).values() if value.is_floating_point()]))
    torch.testing.assert_close(models[0], models[1], rtol=1e-3, atol=1e-5)
    assert result.metrics.train.balancing.is_on
    plain = run_training(configure(**shared, mixup=options.get("mixup", 0.0), output_dir=str(tmp_path / "plain")))
    assert saved(plain) != saved(result)
    recorded = json.loads(result.folder.metrics.read_text())["train"]["balancing"]
    assert recorded == {
        "class_weights": options.get("class_weights", "none"),
        "effective_beta": 0.999 if "class_weights" in options else None,
        "logit_adjustment": options.get("logit_adjustment", 0.0),
        "balanced_sampling": options.get("balanced_sampling", False),
    }


def state(result):
    from safetensors.torch import load_file

    return load_file(result.model_dir / "model.safetensors")


@pytest.mark.usefixtures("no_pictures")
def test_the_priors_are_those_of_the_images_in_use(configure, few_red, monkeypatch):
    from hf_cifar.training.probe import probe

    seen = []
    monkeypatch.setattr(
        probe, "rebalancing", lambda options, labels, classes: seen.append(np.bincount(labels)) or Rebalancing()
    )
    result = run_training(configure(dataset=few_red, class_weights="balanced", max_train_samples=18))
    assert list(result.metrics.dataset.train_per_class.values()) == seen[0].tolist() and seen[0].sum() == 18


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("solver", ["trainer", "lbfgs"])
def test_a_head_is_chosen_by_the_selection_metric(solver, configure, monkeypatch):
    from hf_cifar.training.probe import probe

    scores = [Score(0.9, 0.2, 0.0, 1.0), Score(0.5, 0.8, 0.0, 1.0)]
    monkeypatch.setattr(probe, "scores_of", lambda *arguments: scores)
    one_by_one = iter(scores)
    monkeypatch.setattr(probe, "score", lambda *arguments: next(one_by_one))
    grid = {"learning_rates": [0.1, 0.2]} if solver == "trainer" else {"strengths": [0.1, 0.01], "solver": "lbfgs"}
    result = run_training(configure(selection_metric="balanced_accuracy", num_train_epochs=1, **grid))
    chosen = result.metrics.train.chosen
    assert (chosen.learning_rate or 0.0, chosen.strength or 0.0) == ((0.2, 0.0) if solver == "trainer" else (0.0, 0.01))
    assert (chosen.metric, chosen.value) == ("balanced_accuracy", 0.8)
