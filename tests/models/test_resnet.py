"""The wrapped torchvision ResNet against torchvision itself."""

import copy

import pytest
import torch
import torchvision
from support.models import build, scramble_statistics
from transformers import AutoConfig, AutoModelForImageClassification, Trainer, TrainingArguments

from hf_cifar.config.parts import ModelConfig
from hf_cifar.models.resnet import TorchvisionResNetConfig, TorchvisionResNetForImageClassification

NAMES = ["ape", "bee", "cat", "dog"]


@pytest.fixture(scope="module")
def reference():
    """torchvision's resnet18 with weights and statistics that no initialisation makes."""
    torch.manual_seed(3)
    network = torchvision.models.resnet18(num_classes=4)
    scramble_statistics(network)
    return network.eval()


@pytest.fixture(scope="module")
def wrapped(reference, tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(reference.state_dict(), file)
    return build(ModelConfig(model="resnet18", weights=str(file)), NAMES, seed=0).model


def test_loaded_weights_survive_the_wrapping(reference, wrapped):
    images = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(wrapped.eval()(images).logits, reference(images), rtol=0, atol=0)


def test_loss_is_the_mean_cross_entropy(reference, wrapped):
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])
    with torch.no_grad():
        loss = wrapped.eval()(images, labels=labels).loss
        expected = -reference(images).log_softmax(1)[range(4), labels].mean()
    torch.testing.assert_close(loss, expected)


def test_round_trip_is_bitwise_and_registered_with_the_auto_classes(wrapped, tmp_path):
    wrapped.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), TorchvisionResNetConfig)
    again = AutoModelForImageClassification.from_pretrained(tmp_path)
    assert isinstance(again, TorchvisionResNetForImageClassification)
    ours, theirs = wrapped.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert again.config.id2label == dict(enumerate(NAMES))
    assert (tmp_path / "resnet.py").is_file(), "the code travels with the weights"


def test_random_weights_are_those_of_torchvision_in_distribution():
    """transformers' default initialisation (N(0, 0.02) everywhere) would be far off."""
    model = build(ModelConfig(model="resnet18", weights="none"), NAMES, seed=0).model
    fresh = torchvision.models.resnet18(num_classes=4)
    for (name, ours), theirs in zip(model.network.named_parameters(), fresh.parameters(), strict=True):
        if ours.ndim == 4:
            assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.05), name
    assert all(torch.equal(module.running_var, torch.ones_like(module.running_var)) for module in batch_norms(model))


def test_seed_rules_random_weights():
    def weights(seed):
        return build(ModelConfig(model="resnet18", weights="none"), NAMES, seed).model.network.conv1.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_gradient_does_not_depend_on_accumulation(wrapped, tmp_path):
    """8 images at once, or 2 at a time over 4 steps: the same step of the same size."""

    def after(batch: int, accumulation: int) -> torch.Tensor:
        model = copy.deepcopy(wrapped)
        for module in batch_norms(model):
            module.train = lambda mode=True, module=module: module
            module.training = False
        arguments = TrainingArguments(
            str(tmp_path),
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            num_train_epochs=1,
            learning_rate=0.01,
            lr_scheduler_type="constant",
            optim="sgd",
            max_grad_norm=0.0,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        generator = torch.Generator().manual_seed(0)
        data = [
            {"pixel_values": torch.randn(3, 32, 32, generator=generator), "labels": number % 4} for number in range(8)
        ]
        Trainer(model, arguments, train_dataset=data).train()
        return model.network.fc.weight - wrapped.network.fc.weight

    torch.testing.assert_close(after(8, 1), after(2, 4), rtol=1e-3, atol=1e-6)


def batch_norms(model):
    return [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
