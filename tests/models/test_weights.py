"""What is loaded is checked, tensor by tensor."""

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from support.families import FAMILIES
from support.models import build
from transformers import AutoImageProcessor

from hf_cifar.config.options.model import ModelConfig
from hf_cifar.errors import InputError
from hf_cifar.models.native import to_native
from hf_cifar.models.weights import put_weights
from hf_cifar.training.finetune.ema import WeightAverage

NAMES = ["ape", "bee", "cat"]


@pytest.fixture(scope="module")
def resnet18():
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=7)


def build_with(model: str, weights, names=NAMES):
    return build(ModelConfig(model=model, weights=str(weights)), names, seed=0)


def same_backbone(built, network) -> bool:
    state = network.state_dict()
    ours = built.model.network.state_dict()
    return all(torch.equal(ours[name], state[name]) for name in state if not name.startswith("fc."))


@pytest.mark.parametrize("form", ["pth", "nested", "data-parallel", "safetensors", "folder", "native"])
def test_every_form_of_weights_loads_the_whole_backbone(form, resnet18, tmp_path):
    state = resnet18.state_dict()
    path = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pth")
    if form == "safetensors":
        save_file(state, path)
    elif form == "folder":
        path = tmp_path
        save_file(state, tmp_path / "model.safetensors")
    elif form == "native":
        path = tmp_path / "native"
        wrapper = build_with("resnet18", "none", [f"class {number}" for number in range(7)]).model
        wrapper.network.load_state_dict(state)
        to_native(wrapper).save_pretrained(path)
    elif form == "nested":
        torch.save({"state_dict": state, "epoch": 3}, path)
    elif form == "data-parallel":
        torch.save({f"module.{name}": tensor for name, tensor in state.items()}, path)
    else:
        torch.save(state, path)
    assert same_backbone(build_with("resnet18", path), resnet18)


def test_head_of_the_same_size_is_kept_and_another_is_new(resnet18, tmp_path):
    torch.save(resnet18.state_dict(), tmp_path / "w.pth")
    seven = build_with("resnet18", tmp_path / "w.pth", [f"class {number}" for number in range(7)])
    assert torch.equal(seven.model.network.fc.weight, resnet18.fc.weight)
    assert build_with("resnet18", tmp_path / "w.pth").model.network.fc.weight.shape == (3, 512)


def test_another_architecture_is_refused_with_the_reason(resnet18, tmp_path):
    torch.save(resnet18.state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"does not fit the architecture.*missing.*--model"):
        build_with("resnet34", tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"of another shape \(such as .*: 64x64x3x3, where the model has 64x64x1x1"):
        build_with("resnet50", tmp_path / "w.pth")


def test_one_missing_tensor_is_refused(resnet18, tmp_path):
    state = resnet18.state_dict()
    del state["layer3.1.bn2.running_var"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"1 tensors missing \(such as layer3.1.bn2.running_var"):
        build_with("resnet18", tmp_path / "w.pth")


def test_a_file_that_holds_no_weights(tmp_path):
    (tmp_path / "w.pth").write_text("hello")
    with pytest.raises(InputError, match="cannot be read as weights"):
        build_with("resnet18", tmp_path / "w.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="does not hold tensors by name"):
        build_with("resnet18", tmp_path / "list.pth")
    with pytest.raises(InputError, match="no such file"):
        build_with("resnet18", tmp_path / "missing.pth")


def test_native_folder_of_another_shape_is_refused(tiny_model, tmp_path):
    from support.models import tiny_resnet

    model = tiny_resnet()
    save_file({f"x.{name}": tensor for name, tensor in model.state_dict().items()}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"does not fit ResNetForImageClassification: .* tensors .* missing"):
        build_with(str(tiny_model), tmp_path / "w.safetensors")


def test_native_checkpoint_with_a_lost_tensor_is_refused(tiny_model, tmp_path):
    import shutil

    from safetensors.torch import load_file

    shutil.copytree(tiny_model, tmp_path / "m")
    state = load_file(tmp_path / "m" / "model.safetensors")
    lost = next(name for name in state if "running_mean" in name)
    del state[lost]
    save_file(state, tmp_path / "m" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="1 tensors besides the classifier are missing"):
        build(ModelConfig(model=str(tmp_path / "m")), NAMES, 0)


def test_unknown_names(tmp_path):
    with pytest.raises(InputError, match=r"unknown model 'resnet81': did you mean 'resnet18'"):
        build(ModelConfig(model="resnet81"), NAMES, 0)
    with pytest.raises(InputError, match=r"unknown weights for resnet18 'IMAGENET1K_V3': did you mean 'IMAGENET1K_V1'"):
        build_with("resnet18", "IMAGENET1K_V3")


def test_the_processor_comes_with_the_weights(resnet18, tmp_path):
    from support.models import processor

    save_file(resnet18.state_dict(), tmp_path / "model.safetensors")
    processor(48).save_pretrained(tmp_path)
    assert (
        build_with("resnet18", tmp_path).processor.to_dict() == AutoImageProcessor.from_pretrained(tmp_path).to_dict()
    )


def test_bundled_backbone_loads_whole():
    from safetensors.torch import load_file

    from hf_cifar.config.locate import BUNDLED

    built = build(ModelConfig(model="resnet18-mini"), NAMES, 0)
    stored = load_file(BUNDLED / "resnet18-mini" / "model.safetensors")
    ours = built.model.state_dict()
    assert all(
        torch.equal(ours[name], stored[name].to(ours[name].dtype)) for name in stored if "classifier" not in name
    )
    assert all(value.dtype == torch.float32 for value in built.model.parameters())
    assert sum(file.stat().st_size for file in (BUNDLED / "resnet18-mini").iterdir()) < 3_000_000


@torch.no_grad()
def test_weights_that_are_put_into_levit_are_those_it_answers_with():
    """It keeps tables of its weights in eval mode, which `load_state_dict` leaves as they are."""
    model, other = FAMILIES["levit"].make(seed=1), FAMILIES["levit"].make(seed=2)
    images = torch.randn(2, 3, 64, 64)
    expected = other(images).logits
    model(images)
    put_weights(model, other.state_dict())
    assert not model.training
    assert torch.equal(model(images).logits, expected)

    average = WeightAverage(model, 0.5)
    average.average = FAMILIES["levit"].make(seed=1).state_dict()
    with average.in_place():
        assert torch.equal(model(images).logits, FAMILIES["levit"].make(seed=1)(images).logits)
    assert torch.equal(model(images).logits, expected)


@pytest.mark.parametrize("family", ["vit", "swin", "timm-vit", "efficientnet"])
@pytest.mark.parametrize("form", ["folder", "file of the tensors in memory", "file of a base model"])
def test_weights_of_a_native_model_by_the_names_of_files_and_of_memory(family, form, tmp_path):
    FAMILIES[family].save(tmp_path / "model", seed=1)
    other = FAMILIES[family].save(tmp_path / "other", seed=2)
    path = tmp_path / "other"
    if form != "folder":
        state = other.state_dict()
        if form == "file of a base model":
            prefix = f"{other.base_model_prefix}."
            state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        path = tmp_path / "weights.pth"
        torch.save(state, path)
    model = build(ModelConfig(model=str(tmp_path / "model"), weights=str(path)), NAMES, 0).model
    heads = FAMILIES[family].head
    ours = {name: value for name, value in model.state_dict().items() if not name.startswith(heads)}
    assert ours and all(torch.equal(value, other.state_dict()[name]) for name, value in ours.items())
