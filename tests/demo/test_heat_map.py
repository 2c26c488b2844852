"""Where a network looked: which layer is asked, and that the map is right."""

import numpy as np
import pytest
import torch
from PIL import Image
from support.models import processor, tiny_resnet
from transformers import ViTConfig, ViTForImageClassification

pytest.importorskip("pytorch_grad_cam")
from hf_cifar.demo.heat_map import HeatMap


def tiny_vit() -> ViTForImageClassification:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return ViTForImageClassification(ViTConfig(image_size=32, patch_size=8, num_labels=3, **sizes)).eval()


def test_a_convolutional_network_is_asked_at_its_last_feature_map():
    method = HeatMap(tiny_resnet(), processor(32)).method
    assert method.startswith("Grad-CAM on its last feature map, resnet.") and "stages.1" in method


def test_a_transformer_is_asked_before_its_last_attention():
    found = HeatMap(tiny_vit(), processor(32)).layer
    assert found is not None and found.is_tokens and found.extra == 1
    assert found.name.endswith("layernorm_before") and ".1." in found.name


def test_a_network_without_places_has_no_map():
    class Flat(torch.nn.Module):
        dtype, device = torch.float32, torch.device("cpu")

        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3 * 32 * 32, 2)

        def forward(self, pixels):
            return type("Output", (), {"logits": self.linear(pixels.flatten(1))})

    heat_map = HeatMap(Flat(), processor(32))
    assert heat_map.layer is None and "no places" in heat_map.method
    assert heat_map.draw(Image.new("RGB", (32, 32)), 0) is None


def test_the_map_is_that_of_the_paper():
    """The mean gradient of each channel weighs its activations; what is negative is left out."""
    model = tiny_resnet()
    heat_map = HeatMap(model, processor(32))
    pixels = np.random.default_rng(3).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    inputs = processor(32)(images=[image], return_tensors="pt")["pixel_values"].requires_grad_(True)
    outputs = []
    handle = heat_map.layer.module.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    logits = model(inputs).logits
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[0, 2], outputs[0])
    heat = (gradient.mean(dim=(2, 3), keepdim=True) * outputs[0]).sum(dim=1)[0].clamp(min=0).detach().numpy()
    drawn = np.asarray(heat_map.draw(image, 2).resize(heat.shape[::-1], Image.Resampling.BOX), dtype=float)
    warmth = drawn[..., 0] - drawn[..., 2]
    assert np.corrcoef(warmth.ravel(), heat.ravel())[0, 1] > 0.8
    assert not model.training and all(parameter.grad is None for parameter in model.parameters())
