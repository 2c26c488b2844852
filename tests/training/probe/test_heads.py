"""A grid of heads trains each head as if it were alone."""

import torch
from support.models import tiny_resnet

from hf_cifar.models.anatomy import head
from hf_cifar.training.loss import summed_cross_entropy
from hf_cifar.training.probe.heads import HeadGrid


def test_loss_is_the_sum_of_the_heads_losses():
    grid = HeadGrid(6, 3, 4)
    for parameter in grid.parameters():
        torch.nn.init.normal_(parameter)
    features, labels = torch.randn(8, 6), torch.randint(0, 3, (8,))
    result = grid(features)
    singles = [torch.nn.functional.cross_entropy(one(features), labels) for one in grid.heads]
    torch.testing.assert_close(summed_cross_entropy(result, labels) / len(labels), sum(singles))
    torch.testing.assert_close(result["logits"], torch.stack([one(features) for one in grid.heads], dim=1))


def test_a_head_that_diverges_leaves_the_others_alone():
    grid, alone = HeadGrid(6, 3, 2), HeadGrid(6, 3, 1)
    features, labels = torch.randn(8, 6), torch.randint(0, 3, (8,))
    with torch.no_grad():
        grid.heads[1].weight.fill_(float("nan"))
    summed_cross_entropy(grid(features), labels).backward()
    summed_cross_entropy(alone(features), labels).backward()
    torch.testing.assert_close(grid.heads[0].weight.grad, alone.heads[0].weight.grad)


def test_installed_head_answers_in_the_model():
    model, grid = tiny_resnet(num_labels=3), HeadGrid(16, 3, 2)
    torch.nn.init.normal_(grid.heads[1].weight)
    grid.install(1, model)
    assert torch.equal(head(model).weight, grid.heads[1].weight)
