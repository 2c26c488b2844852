"""What a model costs: operations against those counted by hand, times taken in turn."""

import pytest
import torch
from support.models import processor, tiny_resnet
from torch import nn
from transformers import (
    BitImageProcessor,
    ConvNextImageProcessor,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from hf_cifar.evaluation.comparison import cost
from hf_cifar.evaluation.comparison.cost import count_flops, image_for, measure_costs


def test_operations_of_a_convolution_and_a_linear_layer_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 4 * 6, 7))
    # 4 x 6 places, 5 channels, each a sum over 3 x 3 x 3 products; 7 sums over 120 products; two operations a product.
    assert count_flops(model, torch.zeros(1, 3, 8, 12)) == 2 * (4 * 6 * 5 * 27 + 7 * 120)
    assert count_flops(model, torch.zeros(3, 3, 8, 12)) == 3 * 2 * (4 * 6 * 5 * 27 + 7 * 120)
    grouped = nn.Conv2d(6, 6, 3, groups=3, bias=False)
    assert count_flops(grouped, torch.zeros(1, 6, 5, 5)) == 2 * 3 * 3 * 6 * (9 * 2)


def test_operations_of_attention_are_counted_too():
    width, inner, tokens, layers = 32, 64, 16 + 1, 2
    model = ViTForImageClassification(
        ViTConfig(
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=4,
            image_size=32,
            patch_size=8,
            num_labels=5,
        )
    )
    patches = 16 * (3 * 8 * 8) * width
    projections = 4 * tokens * width * width
    mixing = 2 * tokens * tokens * width  # queries with keys, and the weights with values
    perceptron = 2 * tokens * width * inner
    expected = 2 * (patches + layers * (projections + mixing + perceptron) + width * 5)
    assert count_flops(model, torch.zeros(1, 3, 32, 32)) == expected


@pytest.mark.parametrize(
    ("made", "side"),
    [
        (processor(20), (20, 20)),
        (BitImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 24}), (32, 24)),
        (ConvNextImageProcessor(size={"shortest_edge": 28}, crop_pct=0.875), (28, 28)),
    ],
)
def test_the_network_gets_an_image_of_its_own_size(made, side):
    pixels = image_for(made)
    assert pixels.shape == (1, 3, *side)
    assert pixels.dtype == torch.float32


def test_costs_of_two_models():
    small, large = tiny_resnet(3), tiny_resnet(3)
    (one, other), how = measure_costs([(small, processor(16)), (large, processor(32))])
    assert one.parameters == other.parameters == sum(value.numel() for value in small.parameters())
    assert (one.image_size, other.image_size) == ((16, 16), (32, 32))
    assert one.gflops == count_flops(small, torch.zeros(1, 3, 16, 16)) / 1e9
    # The classifier aside, a convolutional network does four times as much on four times the pixels.
    head = 2 * 16 * 3 / 1e9
    assert other.gflops - head == pytest.approx(4 * (one.gflops - head))
    for found in (one, other):
        assert found.images_per_second > 0
        low, high = found.latency_ms_quartiles
        assert 0 < low <= found.latency_ms <= high
    assert how.device and how.batch_size == 32 and how.rounds == cost.ROUNDS
    assert how.threads == torch.get_num_threads()


def test_models_take_turns_after_a_first_pass(monkeypatch):
    models = [tiny_resnet(3), tiny_resnet(3)]
    taken = []

    def seconds(model: PreTrainedModel, pixels: torch.Tensor) -> float:
        assert not model.training
        number = 1 + next(place for place, other in enumerate(models) if other is model)
        taken.append((number, len(pixels)))
        # The first pass is never counted; then batches of the first take 2 s, of the second 4 s.
        return 1e6 if len(taken) <= 4 else number * (2.0 if len(pixels) > 1 else 0.010)

    monkeypatch.setattr(cost, "_seconds", seconds)
    found, how = measure_costs([(model.train(), processor(16)) for model in models])
    assert taken[:4] == [(1, 32), (1, 1), (2, 32), (2, 1)]
    turn = [(1, 32), *[(1, 1)] * cost.SINGLES, (2, 32), *[(2, 1)] * cost.SINGLES]
    assert taken[4:] == turn * how.rounds
    assert [item.images_per_second for item in found] == [16, 8]
    assert [item.latency_ms for item in found] == pytest.approx([10, 20])


def test_slow_models_get_fewer_rounds(monkeypatch):
    clock = iter(range(0, 10_000, 40))
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(cost, "_seconds", lambda model, pixels: 1.0)
    _, how = measure_costs([(tiny_resnet(3), processor(16))])
    assert how.rounds == cost.MIN_ROUNDS


def test_no_model_no_cost():
    found, how = measure_costs([])
    assert found == [] and how.device
