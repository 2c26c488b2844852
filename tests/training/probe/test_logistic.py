"""The logistic regression against scikit-learn's."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hf_cifar.training.probe.logistic import solve_path


def problem(count: int = 400, width: int = 12, classes: int = 4, seed: int = 0):
    """Correlated features of very different scales, with one that never changes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    mixed = (rng.normal(size=(count, width)) + rng.normal(size=(classes, width))[labels]) @ rng.normal(
        size=(width, width)
    )
    features = mixed * np.logspace(-2, 1, width) + rng.normal(size=width)
    features[:, 3] = 7.5
    return features.astype(np.float32), labels


@pytest.mark.parametrize("strength", [1.0, 0.03, 0.001])
def test_same_solution_as_scikit_learn(strength):
    features, labels = problem()
    (ours,) = solve_path(features, labels, 4, [strength])
    scaler = StandardScaler().fit(features.astype(np.float64))
    theirs = LogisticRegression(C=1 / (strength * len(labels)), tol=1e-10, max_iter=10_000)
    theirs.fit(scaler.transform(features.astype(np.float64)), labels)
    expected = theirs.decision_function(scaler.transform(features.astype(np.float64)))
    ours_logits = ours.logits(features)
    centred = ours_logits - ours_logits.mean(1, keepdims=True)
    np.testing.assert_allclose(centred, expected - expected.mean(1, keepdims=True), atol=5e-3)


def test_two_classes():
    features, labels = problem(classes=2)
    (ours,) = solve_path(features, labels, 2, [0.1])
    assert ((ours.logits(features).argmax(1)) == labels).mean() > 0.8


def test_path_goes_from_heavy_to_light_and_fits_ever_closer():
    features, labels = problem()
    path = solve_path(features, labels, 4, [0.001, 1.0, 0.03])
    assert [solution.strength for solution in path] == [1.0, 0.03, 0.001]
    losses = [solution.train_loss for solution in path]
    assert losses == sorted(losses, reverse=True)
    for solution in path:
        logits = solution.logits(features)
        picked = logits[np.arange(len(labels)), labels]
        assert (np.logaddexp.reduce(logits, axis=1) - picked).mean() == pytest.approx(solution.train_loss, rel=1e-4)


def test_warm_start_does_not_change_the_answer():
    features, labels = problem()
    along = solve_path(features, labels, 4, [1.0, 0.1, 0.01])[-1]
    (alone,) = solve_path(features, labels, 4, [0.01])
    np.testing.assert_allclose(along.logits(features), alone.logits(features), atol=5e-3)


def test_a_class_without_examples_gets_the_lowest_logits():
    features, labels = problem()
    (solution,) = solve_path(features, labels, 6, [0.01])
    assert solution.weight.shape == (6, 12)
    assert (solution.logits(features).argmax(1) < 4).all()


def test_a_strength_that_runs_out_of_iterations_is_named_and_the_others_are_not(capfd):
    features, labels = problem()
    path = solve_path(features, labels, 4, [1.0, 1e-6], max_iterations=60)
    assert [solution.converged for solution in path] == [True, False]
    assert path[1].iterations == 60
    err = capfd.readouterr().err
    assert "did not converge for strengths 1e-06:" in err and "--strengths" in err
    assert all(solution.converged for solution in solve_path(features, labels, 4, [1.0, 0.01]))
    assert "converge" not in capfd.readouterr().err


def test_two_classes_have_the_penalty_of_the_softmax():
    """Against a plain minimiser of the penalised loss, written out for two rows."""
    features, labels = problem(classes=2, width=5)
    (ours,) = solve_path(features, labels, 2, [0.1])
    x = (features.astype(np.float64) - features.mean(0, dtype=np.float64)) / np.where(
        features.std(0) > 0, features.std(0, dtype=np.float64), 1
    )

    def loss(theta):
        weight, bias = theta[:10].reshape(2, 5), theta[10:]
        logits = x @ weight.T + bias
        return (np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(x)), labels]).mean() + 0.05 * (
            weight**2
        ).sum()

    theta = minimize(loss, np.zeros(12), tol=1e-12).x
    expected = x @ theta[:10].reshape(2, 5).T + theta[10:]
    logits = ours.logits(features)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], expected[:, 1] - expected[:, 0], atol=5e-3)


def test_one_class_alone_is_always_the_answer():
    features, labels = problem()
    (solution,) = solve_path(features, np.full_like(labels, 2), 4, [0.1])
    assert (solution.logits(features).argmax(1) == 2).all() and solution.train_loss == 0.0


def unequal():
    """The problem with classes of very different sizes."""
    features, labels = problem(count=1200)
    kept = np.concatenate([np.flatnonzero(labels == label)[:size] for label, size in enumerate((250, 90, 40, 12))])
    return features[kept], labels[kept]


def test_class_weights_are_those_of_scikit_learn():
    features, labels = unequal()
    weights = len(labels) / (4 * np.bincount(labels))
    (ours,) = solve_path(features, labels, 4, [0.01], class_weights=weights)
    scaler = StandardScaler().fit(features.astype(np.float64))
    theirs = LogisticRegression(C=1 / (0.01 * len(labels)), tol=1e-10, max_iter=10_000, class_weight="balanced")
    theirs.fit(scaler.transform(features.astype(np.float64)), labels)
    expected = theirs.predict_proba(scaler.transform(features.astype(np.float64)))
    logits = ours.logits(features)
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("classes", [2, 4])
def test_adjusted_logits_minimise_the_adjusted_loss(classes):
    """Against scipy, which minimises cross-entropy of logits + offsets with the same penalty."""
    features, labels = unequal()
    features, labels = features[labels < classes], labels[labels < classes]
    offsets = np.log(np.bincount(labels) / len(labels))
    (ours,) = solve_path(features, labels, classes, [0.05], logit_offsets=offsets)
    x = StandardScaler().fit_transform(features.astype(np.float64))
    wanted = np.eye(classes)[labels]

    def objective(values):
        weight, bias = values[:-classes].reshape(classes, -1), values[-classes:]
        logits = x @ weight.T + bias + offsets
        logits -= logits.max(axis=1, keepdims=True)
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        loss = -np.log((probabilities * wanted).sum(axis=1)).mean() + 0.05 / 2 * (weight**2).sum()
        error = (probabilities - wanted) / len(x)
        return loss, np.concatenate([(error.T @ x + 0.05 * weight).ravel(), error.sum(axis=0)])

    start = np.zeros(classes * x.shape[1] + classes)
    best = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-14})
    weight, bias = best.x[:-classes].reshape(classes, -1), best.x[-classes:]
    theirs, found = x @ weight.T + bias, ours.logits(features)
    np.testing.assert_allclose(found - found[:, :1], theirs - theirs[:, :1], atol=2e-3)
