"""Multinomial logistic regression on frozen features, over a path of regularisation strengths.

Minimises mean cross-entropy + strength / 2 * |W|^2 on standardised features, the bias free, with scikit-learn's
`LogisticRegression`, whose `C` is 1 / (n strength). The strengths are solved from the heaviest to the lightest, each
from the solution of the one before it, as in the probe of the LP-FT paper (Kumar et al., 2022).
"""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from hf_cifar.utils.progress import progress, say

MAX_ITERATIONS = 1_000
# Largest component of the gradient. At scikit-learn's own 1e-4 a warm start may not move at all.
TOLERANCE = 2e-6
ABSENT_MARGIN = 10.0  # nats by which the bias of a class without examples is below all others


@dataclass(frozen=True)
class Solution:
    """The solution for one strength.

    Attributes:
        strength: of the L2 penalty, per image.
        weight: float64 [labels, features], for features that are not standardised.
        bias: float64 [labels].
        train_loss: mean cross-entropy in nats, weighted and with offsets where there are any, without the penalty.
        iterations: of L-BFGS.
        converged: whether the gradient is below the tolerance; otherwise the iterations ran out.
        seconds: spent on it.
    """

    strength: float
    weight: np.ndarray
    bias: np.ndarray
    train_loss: float
    iterations: int
    converged: bool
    seconds: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return logits, float64 [n, labels], of features, float [n, features]."""
        return features.astype(np.float64) @ self.weight.T + self.bias


def solve_path(
    features: np.ndarray,
    labels: np.ndarray,
    num_labels: int,
    strengths: Sequence[float],
    max_iterations: int = MAX_ITERATIONS,
    class_weights: np.ndarray | None = None,
    logit_offsets: np.ndarray | None = None,
) -> list[Solution]:
    """Solve the regression for every strength; warn of those that did not converge.

    Args:
        features: float32 [n, features].
        labels: int64 [n].
        num_labels: number of classes, whether or not each occurs.
        strengths: L2 penalties per image, in any order.
        max_iterations: of L-BFGS, per strength.
        class_weights: float [num_labels], of the images in the mean cross-entropy; None for equal ones.
        logit_offsets: float [num_labels], added to the logits in the cross-entropy (logit adjustment). The bias is not
            penalised, so the solution is the one without offsets, less the offsets in its bias.

    Returns:
        One solution per strength, from the heaviest to the lightest.
    """
    scaler = StandardScaler(copy=False)
    # In float32 the line search gives up before the tolerance is reached where features are correlated.
    standardised = scaler.fit_transform(features.astype(np.float64))
    classes = np.unique(labels)
    # scikit-learn gives two classes one row, w: softmax rows -w/2 and w/2 have half its penalty.
    factor = 2.0 if len(classes) == 2 else 1.0
    model = LogisticRegression(tol=TOLERANCE, max_iter=max_iterations, warm_start=True)
    weights = None if class_weights is None else class_weights[labels]
    solutions = []
    for strength in progress(sorted(strengths, reverse=True), "logistic regression", "strength"):
        begun = time.perf_counter()
        model.C = factor / (strength * len(labels))
        if len(classes) == 1:  # nothing to learn
            rows, bias = np.zeros((1, features.shape[1])), np.zeros(1)
            loss, iterations, converged = 0.0, 0, True
        else:
            converged = _fit(model, standardised, labels, weights)
            rows, bias = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
            if len(classes) == 2:
                rows, bias = np.concatenate([-rows, rows]) / 2, np.concatenate([-bias, bias]) / 2
            loss = float(log_loss(labels, model.predict_proba(standardised), sample_weight=weights))
            iterations = int(model.n_iter_[0])
        if logit_offsets is not None:
            bias = bias - logit_offsets[classes]
        weight, bias = _unstandardised(rows, bias, scaler)
        weight, bias = _with_absent_classes(weight, bias, classes, num_labels)
        solutions.append(Solution(strength, weight, bias, loss, iterations, converged, time.perf_counter() - begun))
    _warn(solutions)
    return solutions


def _fit(model: LogisticRegression, features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> bool:
    """Fit the model from where it is, and return whether it converged."""
    # BLAS does not gain by threads where one side is the number of classes, and loses much where cores are shared.
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("always")
        model.fit(features, labels, sample_weight=weights)
    for warning in caught:
        if not issubclass(warning.category, ConvergenceWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def _unstandardised(rows: np.ndarray, bias: np.ndarray, scaler: StandardScaler) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and bias for features as they come."""
    weight = rows / scaler.scale_
    return weight, bias - weight @ scaler.mean_


def _with_absent_classes(
    weight: np.ndarray, bias: np.ndarray, classes: np.ndarray, num_labels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Add rows for classes without examples, whose logits are never the largest.

    Their optimum is a bias of minus infinity. The rows of the others have a mean of zero after centring, so the
    largest of their logits is at least the mean of their biases.
    """
    all_weights = np.zeros((num_labels, weight.shape[1]))
    all_biases = np.full(num_labels, bias.min() - ABSENT_MARGIN)
    all_weights[classes] = weight - weight.mean(axis=0)
    all_biases[classes] = bias
    return all_weights, all_biases


def _warn(solutions: Sequence[Solution]) -> None:
    failed = [f"{solution.strength:g}" for solution in solutions if not solution.converged]
    if failed:
        say(
            f"warning: the logistic regression did not converge for strengths {', '.join(failed)}: treat their "
            "accuracy with caution, and leave them out of --strengths or use --solver trainer"
        )
