"""After training a network is what it was when it was built, but for its weights."""

import copy

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from support.models import tiny_resnet

from hf_cifar.training.finetune.snapshot import Snapshot
from hf_cifar.training.freezing import freeze, freeze_statistics
from hf_cifar.training.gradient_checkpointing import recompute_activations


def state_of(model):
    modules = {name: {key: id(value) for key, value in vars(module).items()} for name, module in model.named_modules()}
    return modules, [parameter.requires_grad for parameter in model.parameters()], dict(vars(model.config))


def change(model):
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(1)


@pytest.fixture
def mixed_precision():
    """An accelerate of its own: its state is shared by the process, and other tests have set it to float32."""
    AcceleratorState._reset_state(True)
    yield Accelerator(cpu=True, mixed_precision="bf16")
    AcceleratorState._reset_state(True)


def test_everything_that_training_puts_on_modules_is_undone_and_weights_stay(mixed_precision):
    model = tiny_resnet()
    model.resnet.embedder.embedder.convolution.weight.requires_grad_(False)
    expected = state_of(model)
    snapshot = Snapshot(model)
    freeze_statistics(model)
    freeze(model, ["resnet.encoder.stages.0"])
    recompute_activations(model)
    model.config.use_cache = False  # as Trainer sets it
    prepared = mixed_precision.prepare_model(model)
    prepared(torch.zeros(2, 3, 16, 16)).logits.sum().backward()
    model.train()
    change(model)
    trained = {name: value.clone() for name, value in model.state_dict().items()}
    snapshot.restore_modules()
    assert state_of(model) == expected
    assert not model.training and all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, trained[name]) for name, value in model.state_dict().items())
    assert model(torch.zeros(1, 3, 16, 16)).logits.dtype == torch.float32


def test_restore_puts_the_weights_back_too():
    model = tiny_resnet()
    before = copy.deepcopy(model.state_dict())
    snapshot = Snapshot(model)
    change(model)
    snapshot.restore()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.device.type == "cpu" for value in snapshot.weights.values())


def test_a_compiled_module_is_the_plain_one_again():
    model = tiny_resnet()
    snapshot = Snapshot(model)
    model.compile(backend="eager")
    assert model._compiled_call_impl is not None
    snapshot.restore_modules()
    assert model._compiled_call_impl is None
