"""Multinomial logistic regression on frozen features, over a path of regularisation strengths.

Minimises, as scikit-learn's `LogisticRegression` does, mean cross-entropy + strength / 2 * |W|^2 on standardised
features, with strength = 1 / (n C), the bias free. Two things make it quick: the strengths are solved from the
heaviest to the lightest, each from the solution of the one before it (as in the LP-FT paper's probe), and L-BFGS
works in coordinates in which the problem's curvature is close to the identity, so that it needs few iterations.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from hf_cifar.utils.progress import progress

MAX_ITERATIONS = 200
TOLERANCE = 1e-5  # largest component of the gradient, in the preconditioned coordinates
CHUNK = 65_536


@dataclass(frozen=True)
class Solution:
    """The optimum for one strength.

    Attributes:
        strength: of the L2 penalty, per image.
        weight: float64 [labels, features], for features as they come, not standardised.
        bias: float64 [labels].
        train_loss: mean cross-entropy, without the penalty.
        iterations: of L-BFGS.
        seconds: that it took.
    """

    strength: float
    weight: np.ndarray
    bias: np.ndarray
    train_loss: float
    iterations: int
    seconds: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """float64 [n, labels] for features, float [n, features]."""
        return features.astype(np.float64) @ self.weight.T + self.bias


def solve_path(
    features: np.ndarray,
    labels: np.ndarray,
    num_labels: int,
    strengths: Sequence[float],
    device: torch.device,
) -> list[Solution]:
    """Solve for every strength.

    Args:
        features: float32 [n, features].
        labels: int64 [n].
        num_labels: number of classes, whether or not each occurs.
        strengths: L2 penalties per image, in any order.
        device: where to compute.

    Returns:
        One solution a strength, from the heaviest to the lightest.
    """
    problem = _Problem(features, labels, num_labels, device)
    start = problem.zero()
    solutions = []
    for strength in progress(sorted(strengths, reverse=True), "logistic regression", "strength"):
        solution, start = problem.solve(strength, start)
        solutions.append(solution)
    return solutions


class _Problem:
    """Features standardised and turned to their principal axes, where the curvature is diagonal."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, num_labels: int, device: torch.device) -> None:
        self.labels = torch.from_numpy(labels).to(device)
        self.num_labels = num_labels
        x = torch.from_numpy(features).to(device)
        mean = x.mean(0, dtype=torch.float64)
        covariance = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=device)
        for chunk in x.split(CHUNK):
            centred = chunk.double() - mean
            covariance += centred.T @ centred / len(x)
        deviation = covariance.diagonal().clamp_min(0).sqrt()
        # A feature that never changes says nothing; left alone, it gets no weight.
        deviation = torch.where(deviation > 1e-8, deviation, torch.ones_like(deviation))
        self.spread, axes = torch.linalg.eigh(covariance / deviation / deviation[:, None])
        self.spread = self.spread.clamp_min(0)
        self.mean, self.turn = mean, axes / deviation[:, None]
        turned = [((chunk.double() - mean) @ self.turn).float() for chunk in x.split(CHUNK)]
        self.turned = torch.cat(turned)

    def zero(self) -> torch.Tensor:
        """The start of the path, float64 [features + 1, labels]; the last row is the bias."""
        width = self.turned.shape[1] + 1
        return torch.zeros(width, self.num_labels, dtype=torch.float64, device=self.turned.device)

    def solve(self, strength: float, start: torch.Tensor) -> tuple[Solution, torch.Tensor]:
        """The optimum for one strength, and its coordinates, from which the next one starts."""
        begun = time.perf_counter()
        # Curvature of the cross-entropy where all classes are equally likely: (1/K)(1 - 1/K) times the covariance.
        flat = (1 / self.num_labels) * (1 - 1 / self.num_labels)
        curvature = torch.cat([flat * self.spread + strength, self.spread.new_tensor([flat])])
        scale = curvature.clamp_min(1e-8).rsqrt()[:, None]
        theta = (start / scale).requires_grad_()
        optimizer = torch.optim.LBFGS(
            [theta],
            max_iter=MAX_ITERATIONS,
            tolerance_grad=TOLERANCE,
            tolerance_change=1e-10,
            history_size=20,
            line_search_fn="strong_wolfe",
        )
        last = {"loss": 0.0}

        def closure() -> torch.Tensor:
            """The penalised loss at `theta`, its gradient left there, as `torch.optim.LBFGS` asks for it."""
            optimizer.zero_grad()
            turned = theta * scale
            logits = torch.addmm(turned[-1].float(), self.turned, turned[:-1].float())
            loss = cross_entropy(logits, self.labels)
            last["loss"] = loss.item()
            total = loss.double() + strength / 2 * turned[:-1].square().sum()
            total.backward()
            return total

        optimizer.step(closure)
        turned = (theta * scale).detach()
        weight = (self.turn @ turned[:-1]).T
        bias = turned[-1] - weight @ self.mean
        return (
            Solution(
                strength,
                weight.cpu().numpy(),
                bias.cpu().numpy(),
                last["loss"],
                int(optimizer.state[theta]["n_iter"]),
                time.perf_counter() - begun,
            ),
            turned,
        )
