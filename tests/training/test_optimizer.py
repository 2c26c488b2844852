"""What the optimizer holds, by hand."""

import pytest
import torch
from support.models import build, tiny_resnet
from torch import nn
from transformers import TrainingArguments, ViTConfig, ViTForImageClassification

from hf_cifar.config.options.model import ModelConfig
from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import LayerGroup, layer_groups
from hf_cifar.training.freezing import freeze
from hf_cifar.training.optimizer import make_optimizer, parameter_groups


def tiny_vit():
    sizes = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 8}
    return ViTForImageClassification(ViTConfig(**sizes, image_size=16, patch_size=8, num_labels=3))


MODELS = {
    "native": tiny_resnet,
    "torchvision": lambda: build(ModelConfig(weights="none"), ["a", "b"], 0).model,
    "vit": tiny_vit,
}


def groups_of(model, **options):
    values = {"learning_rate": 1.0, "weight_decay": 0.1, **options}
    return parameter_groups(model, layer_groups(model), **values)


@pytest.mark.parametrize("family", MODELS)
def test_groups_hold_every_trainable_parameter_once_and_nothing_else(family):
    model = MODELS[family]()
    frozen = layer_groups(model)[0].layers
    freeze(model, frozen)
    held = [id(parameter) for group in groups_of(model) for parameter in group.parameters]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert len(held) < len(list(model.parameters()))


@pytest.mark.parametrize("family", MODELS)
def test_norms_and_biases_are_not_decayed_and_all_else_is(family):
    model = MODELS[family]()
    decay = {id(parameter): group.weight_decay for group in groups_of(model) for parameter in group.parameters}
    for name, module in model.named_modules():
        for kind, parameter in module.named_parameters(recurse=False):
            norm = isinstance(module, (nn.BatchNorm2d, nn.LayerNorm))
            assert decay[id(parameter)] == (0.0 if norm or kind == "bias" else 0.1), f"{name}.{kind}"


def test_rates_fall_from_the_head_to_the_input():
    model = tiny_vit()
    rate = {}
    for group in groups_of(model, layer_decay=0.5, head_lr=3.0):
        for parameter in group.parameters:
            rate[id(parameter)] = group.learning_rate
    vit = model.vit
    blocks = next(module for module in vit.modules() if isinstance(module, nn.ModuleList))
    assert rate[id(model.classifier.weight)] == rate[id(model.classifier.bias)] == 3.0
    assert rate[id(vit.layernorm.weight)] == 0.5, "what follows the last block goes with it"
    assert {rate[id(parameter)] for parameter in blocks[2].parameters()} == {0.5}
    assert {rate[id(parameter)] for parameter in blocks[1].parameters()} == {0.25}
    assert {rate[id(parameter)] for parameter in blocks[0].parameters()} == {0.125}
    assert {rate[id(parameter)] for parameter in vit.embeddings.parameters()} == {0.0625}
    assert {group.learning_rate for group in groups_of(model)} == {1.0}


def test_groups_of_a_resnet_are_its_stem_stages_and_head():
    names = [group.name for group in layer_groups(MODELS["torchvision"]())]
    assert names == ["network.conv1", *(f"network.layer{number}" for number in range(1, 5)), "head"]
    assert layer_groups(MODELS["torchvision"]())[0].layers == ["network.conv1", "network.bn1"]
    native = [group.name for group in layer_groups(tiny_resnet())]
    assert native == ["resnet.embedder", "resnet.encoder.stages.0", "resnet.encoder.stages.1", "head"]


def test_layer_groups_that_leave_something_out_are_refused():
    model = tiny_resnet()
    with pytest.raises(RuntimeError, match="exactly once"):
        parameter_groups(model, layer_groups(model)[1:], learning_rate=1.0, weight_decay=0.0)
    twice = [*layer_groups(model), LayerGroup("again", ["classifier.1"])]
    with pytest.raises(RuntimeError, match="exactly once"):
        parameter_groups(model, twice, learning_rate=1.0, weight_decay=0.0)


@pytest.mark.parametrize("name", ["sgd", "adamw_torch", "adafactor", "rmsprop", "adagrad"])
def test_every_optimizer_of_trainer_takes_the_groups_with_their_rates(name, tmp_path):
    model = tiny_resnet()
    groups = [{"params": group.parameters, "lr": group.learning_rate} for group in groups_of(model, layer_decay=0.5)]
    args = TrainingArguments(str(tmp_path), optim=name, learning_rate=0.7, report_to="none", use_cpu=True)
    optimizer = make_optimizer(groups, args, 0.8, model)
    assert [group["lr"] for group in optimizer.param_groups] == [group["lr"] for group in groups]
    if name == "sgd":
        assert isinstance(optimizer, torch.optim.SGD) and optimizer.param_groups[0]["momentum"] == 0.8
    if name == "adamw_torch":
        assert isinstance(optimizer, torch.optim.AdamW)


def test_an_optimizer_that_is_not_installed_is_an_input_error(tmp_path):
    args = TrainingArguments(str(tmp_path), optim="adamw_bnb_8bit", report_to="none", use_cpu=True)
    with pytest.raises(InputError, match="--optim adamw_bnb_8bit"):
        make_optimizer([{"params": list(tiny_resnet().parameters())}], args, 0.9)


@pytest.mark.parametrize(("fp16", "fused"), [(False, True), (True, False)])
def test_sgd_is_fused_where_no_gradient_scaler_skips_steps(fp16, fused, tmp_path):
    """And it takes the steps of the textbook: velocity = momentum * velocity + gradient + decay * weight."""
    args = TrainingArguments(str(tmp_path), optim="sgd", learning_rate=0.1, use_cpu=True, report_to="none")
    args.fp16 = fp16
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = make_optimizer([{"params": [weight], "weight_decay": 0.5}], args, momentum=0.9)
    assert optimizer.param_groups[0]["fused"] is fused
    value, velocity = weight.detach().clone(), torch.zeros(2)
    for gradient in (torch.tensor([1.0, 3.0]), torch.tensor([-2.0, 0.5])):
        velocity = 0.9 * velocity + gradient + 0.5 * value
        value = value - 0.1 * velocity
        weight.grad = gradient
        optimizer.step()
    torch.testing.assert_close(weight.detach(), value)
