"""A freeze is a freeze: no gradient, no dropout, no moving statistics, under the real `Trainer`."""

import copy

import pytest
import torch
from support.models import tiny_resnet
from torch import nn
from transformers import Trainer, TrainingArguments

from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import LayerGroup, backbone_layers, head, layer_groups
from hf_cifar.training.freezing import (
    FreezeCallback,
    GradualUnfreezeCallback,
    freeze,
    freeze_statistics,
    unfreeze,
)


class Pictures(torch.utils.data.Dataset):
    """32 random images with random labels."""

    def __init__(self, count: int = 32) -> None:
        generator = torch.Generator().manual_seed(0)
        self.pixels = torch.randn(count, 3, 16, 16, generator=generator) + 3
        self.labels = torch.randint(0, 5, (count,), generator=generator)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> dict:
        return {"pixel_values": self.pixels[number], "labels": self.labels[number]}


def train(model: nn.Module, folder, callbacks=(), **arguments) -> Trainer:
    values = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 0.1, "save_strategy": "no"}
    values |= arguments
    trainer = Trainer(
        model,
        TrainingArguments(str(folder), report_to="none", use_cpu=True, disable_tqdm=True, **values),
        train_dataset=Pictures(),
        callbacks=list(callbacks),
    )
    trainer.train()
    return trainer


def backbone_state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items() if not name.startswith("classifier")}


def test_backbone_is_bit_identical_after_training(tmp_path):
    model = tiny_resnet()
    before, head_before = backbone_state(model), head(model).weight.clone()
    train(model, tmp_path, [FreezeCallback()])
    after = backbone_state(model)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any("running_mean" in name for name in before) and any("num_batches_tracked" in name for name in before)
    assert not torch.equal(head(model).weight, head_before), "the head did not learn"


def test_without_the_guard_the_statistics_do_move(tmp_path):
    """What the freeze is for: `requires_grad` alone does not hold BatchNorm."""
    model = tiny_resnet()
    before = backbone_state(model)
    model.resnet.requires_grad_(False)
    train(model, tmp_path)
    after = backbone_state(model)
    assert any(not torch.equal(before[name], after[name]) for name in before if "running_mean" in name)


def test_frozen_modules_stay_in_eval_mode_whatever_calls_train():
    model = tiny_resnet()
    freeze(model)
    model.train()
    assert model.training and head(model).training
    assert not any(module.training for module in model.resnet.modules())
    model.eval()
    model.train(True)
    assert not any(module.training for module in model.resnet.modules())


def test_dropout_of_a_frozen_module_is_off():
    model = nn.Sequential(nn.Sequential(nn.Dropout(0.9)), nn.Linear(4, 2))
    freeze(model, ["0"])
    model.train()
    ones = torch.ones(64, 4)
    assert torch.equal(model[0](ones), ones)


def test_frozen_layers_by_name_and_the_rest_trains(tmp_path):
    model = tiny_resnet()
    freeze(model, ["resnet.embedder"])
    model.train()
    assert not model.resnet.embedder.training and model.resnet.encoder.training
    trainable = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trainable and not any(name.startswith("resnet.embedder") for name in trainable)


def test_unfreeze_gives_everything_back():
    model = tiny_resnet()
    freeze(model)
    model.train()
    unfreeze(model)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    model.eval()
    assert not any(module.training for module in model.modules())


def test_a_copy_of_a_frozen_model_is_frozen_by_itself():
    model = tiny_resnet()
    freeze(model)
    twin = copy.deepcopy(model)
    unfreeze(model)
    model.train()
    twin.train()
    assert model.resnet.training and not twin.resnet.training


def test_freezing_leaves_the_saved_file_alone(tmp_path):
    model = tiny_resnet()
    freeze(model)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    again.train()
    assert again.resnet.training
    assert again.config.architectures == ["ResNetForImageClassification"]


def test_unknown_layer_names_the_nearest():
    with pytest.raises(InputError, match=r"unknown layer 'resnet.encodr': did you mean 'resnet.encoder'"):
        freeze(tiny_resnet(), ["resnet.encodr"])


def test_backbone_is_everything_but_the_head():
    model = tiny_resnet()
    names = backbone_layers(model)
    frozen = {id(p) for name in names for p in model.get_submodule(name).parameters()}
    rest = {id(p) for p in model.parameters()} - frozen
    assert rest == {id(p) for p in head(model).parameters()}


def test_the_callback_refuses_an_optimizer_that_misses_something(tmp_path):
    class Late(FreezeCallback):
        """Unfreezes after the optimizer was made: the layer would never move."""

        def on_train_begin(self, *args, model=None, **kwargs):
            unfreeze(model)
            super().on_train_begin(*args, model=model, **kwargs)

    with pytest.raises(RuntimeError, match="trainable parameters are not in the optimizer"):
        train(tiny_resnet(), tmp_path, [Late()])


def test_frozen_until_an_epoch_it_stays_and_then_it_moves(tmp_path):
    """Under a plain `Trainer`: weights and statistics in every epoch's checkpoint, with weight decay and momentum."""
    from safetensors.torch import load_file

    model = tiny_resnet()
    states = [{name: value.clone() for name, value in model.state_dict().items()}]
    callback = FreezeCallback(["resnet.embedder", "resnet.encoder.stages.0"], until_epoch=2)
    train(model, tmp_path, [callback], num_train_epochs=4, save_strategy="epoch", weight_decay=0.1)
    saved = sorted(tmp_path.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    states += [load_file(path / "model.safetensors") for path in saved]
    for epoch in range(4):
        for name, value in states[epoch + 1].items():
            frozen = epoch < 2 and name.startswith(("resnet.embedder", "resnet.encoder.stages.0"))
            assert torch.equal(value, states[epoch][name]) == frozen, f"{name} in epoch {epoch}"


def test_what_is_unfrozen_without_being_in_the_optimizer_is_refused_when_it_is_unfrozen(tmp_path):
    model = tiny_resnet()
    model.resnet.embedder.requires_grad_(False)
    with pytest.raises(RuntimeError, match=r"never move \(such as resnet.embedder"):
        train(model, tmp_path, [FreezeCallback(["resnet.embedder"], until_epoch=1)])


def test_statistics_in_eval_mode_stay_and_weights_of_batchnorm_train(tmp_path):
    model = tiny_resnet()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count = freeze_statistics(model)
    assert count == sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    train(model, tmp_path)
    for name, value in model.state_dict().items():
        statistic = "running" in name or "num_batches" in name
        assert torch.equal(value, before[name]) == statistic, name


def test_unfreezing_a_batchnorm_does_not_set_its_statistics_free():
    """Both in the order of fine-tuning, and where the BatchNorm is itself the layer that is unfrozen."""
    for layers in (["resnet.embedder"], ["resnet.embedder.embedder.normalization"]):
        model = tiny_resnet()
        freeze_statistics(model)
        freeze(model, layers)
        unfreeze(model, layers)
        model.train()
        assert model.resnet.embedder.embedder.convolution.training
        assert not model.resnet.embedder.embedder.normalization.training


def test_a_single_parameter_can_be_frozen():
    model = nn.Module()
    model.inner = nn.Module()
    model.inner.token = nn.Parameter(torch.zeros(3))
    freeze(model, ["inner.token"])
    assert not model.inner.token.requires_grad
    unfreeze(model, ["inner.token"])
    assert model.inner.token.requires_grad


def test_frozen_early_layers_cost_no_backward_pass():
    """What they compute is no part of the graph, so nothing of it is kept and nothing goes back through it."""
    model = tiny_resnet()
    groups = layer_groups(model)
    freeze(model, [*groups[0].layers, *groups[1].layers])
    model.train()
    outputs = {}
    for group in groups[:-1]:
        layer = model.get_submodule(group.layers[0])
        layer.register_forward_hook(lambda _, __, output, name=group.name: outputs.update({name: output}))
    model(torch.randn(2, 3, 16, 16)).logits.sum().backward()
    assert [outputs[group.name].requires_grad for group in groups[:-1]] == [False, False, True]


def test_gradual_starts_are_from_the_top_and_every_so_many_epochs():
    groups = [LayerGroup(name, [name]) for name in ("stem", "one", "two", "three", "head")]
    assert GradualUnfreezeCallback(groups).starts == {"stem": 3, "one": 2, "two": 1, "three": 0, "head": 0}
    assert GradualUnfreezeCallback(groups, every=2).starts == {"stem": 6, "one": 4, "two": 2, "three": 0, "head": 0}


def saved_for_backward(model: nn.Module, pixels: torch.Tensor, first_trained: str) -> tuple[int, int]:
    """Bytes that a forward pass keeps for the backward pass: before the first layer that trains, and altogether."""
    kept = [0]
    before = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[0] += tensor.numel() * tensor.element_size()
        return tensor

    hook = model.get_submodule(first_trained).register_forward_pre_hook(lambda *_: before.append(kept[0]))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(pixels).logits.sum()
    hook.remove()
    return before[0], kept[0]


def test_nothing_is_kept_for_the_backward_pass_of_what_is_frozen():
    model, pixels = tiny_resnet(), torch.randn(4, 3, 32, 32)
    stages = ["resnet.encoder.stages.1"]
    model.train()
    everything = saved_for_backward(model, pixels, stages[0])
    assert everything[0] > 0
    freeze(model, [layer for layer in backbone_layers(model) if not layer.startswith(stages[0])])
    frozen = saved_for_backward(model, pixels, stages[0])
    assert frozen[0] == 0 and 0 < frozen[1] < everything[1]
