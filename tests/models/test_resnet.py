"""The wrapped torchvision ResNet against torchvision itself."""

import ast
import copy
import inspect
from pathlib import Path

import pytest
import torch
import torchvision
from support.models import build, scramble_statistics
from transformers import AutoConfig, AutoModelForImageClassification, Trainer, TrainingArguments

from hf_cifar.config.options.model import ModelConfig
from hf_cifar.models.native import to_native
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


class TestAsTransformersResNet:
    """What `ModelTesterMixin` asks of a model, against transformers' own ResNet with the same weights."""

    @pytest.fixture(scope="class", params=["resnet18", "resnet50"])
    def pair(self, request):
        torch.manual_seed(0)
        ours = TorchvisionResNetForImageClassification(TorchvisionResNetConfig(arch=request.param, num_labels=4))
        scramble_statistics(ours)
        return ours.eval(), to_native(ours)

    @pytest.fixture
    def images(self):
        return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))

    @torch.no_grad()
    def test_logits_and_hidden_states(self, pair, images):
        ours, theirs = (model(images, output_hidden_states=True) for model in pair)
        torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-4, atol=1e-4)
        assert len(ours.hidden_states) == len(theirs.hidden_states) == 5
        for mine, native in zip(ours.hidden_states, theirs.hidden_states, strict=True):
            torch.testing.assert_close(mine, native, rtol=1e-4, atol=1e-4)
        assert pair[0](images).hidden_states is None

    @pytest.mark.parametrize(("problem", "labels"), [
        ("single_label_classification", torch.tensor([0, 3, 1])),
        ("multi_label_classification", torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])),
        ("regression", torch.tensor([[0.5, -1, 2, 0], [0, 0, 0, 0], [1, 1, 1, 1]])),
        (None, torch.tensor([0, 3, 1])),
        (None, torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])),
    ])  # fmt: skip
    def test_loss_of_each_problem_and_its_gradient(self, pair, images, problem, labels):
        losses, gradients = [], []
        for model, head in zip(pair, (pair[0].network.fc, pair[1].classifier[1]), strict=True):
            model.config.problem_type = problem
            losses.append(model(images, labels=labels).loss)
            gradients.append(torch.autograd.grad(losses[-1], head.weight)[0])
            model.config.problem_type = None
        torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)

    def test_regression_of_one_number(self, images):
        torch.manual_seed(0)
        ours = TorchvisionResNetForImageClassification(TorchvisionResNetConfig(arch="resnet18", num_labels=1)).eval()
        labels = torch.tensor([0.5, -1.0, 2.0])
        with torch.no_grad():
            output = ours(images, labels=labels)
            expected = (ours.network(images).squeeze(1) - labels).square().mean()
            theirs = to_native(ours)(images, labels=labels)
        torch.testing.assert_close(output.loss, expected)
        torch.testing.assert_close(output.loss, theirs.loss, rtol=1e-4, atol=1e-4)

    @torch.no_grad()
    @pytest.mark.parametrize("labels", [None, torch.tensor([0, 3, 1])])
    @pytest.mark.parametrize("hidden", [False, True])
    def test_the_tuple_has_the_values_of_the_dictionary(self, pair, images, labels, hidden):
        for model in pair:
            output = model(images, labels=labels, output_hidden_states=hidden)
            values = model(images, labels=labels, output_hidden_states=hidden, return_dict=False)
            model.config.return_dict, model.config.output_hidden_states = False, hidden
            by_config = model(images, labels=labels)
            model.config.return_dict, model.config.output_hidden_states = True, False
            assert isinstance(values, tuple) and len(values) == len(by_config) == 1 + (labels is not None) + hidden
            for mine, configured, expected in zip(values, by_config, output.to_tuple(), strict=True):
                torch.testing.assert_close(mine, expected, rtol=0, atol=0)
                torch.testing.assert_close(configured, expected, rtol=0, atol=0)

    def test_hidden_states_keep_their_gradients(self, pair, images):
        output = pair[0](images, output_hidden_states=True)
        for state in output.hidden_states:
            state.retain_grad()
        output.logits[0, 0].backward()
        assert all(state.grad is not None and state.grad.any() for state in output.hidden_states)

    @torch.no_grad()
    def test_an_image_has_the_same_logits_in_every_batch(self, pair, images):
        alone = torch.cat([pair[0](image[None]).logits for image in images])
        torch.testing.assert_close(alone, pair[0](images).logits, rtol=1e-4, atol=1e-4)

    def test_the_native_form_keeps_the_problem(self):
        config = TorchvisionResNetConfig(num_labels=4, problem_type="multi_label_classification")
        native = to_native(TorchvisionResNetForImageClassification(config))
        assert native.config.problem_type == "multi_label_classification"


def test_the_file_imports_nothing_of_this_package():
    source = Path(inspect.getfile(TorchvisionResNetForImageClassification)).read_text()
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imported and not [node for node in imported if "hf_cifar" in ast.unparse(node) or getattr(node, "level", 0)]


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
