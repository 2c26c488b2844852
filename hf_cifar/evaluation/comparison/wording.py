"""Sentences of a comparison: title, verdict, notes, and the alternative text of its figure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hf_cifar.evaluation.comparison.rows import Measurement, RunRow
from hf_cifar.run.stage_metrics import Robustness
from hf_cifar.utils.formatting import listed, percent, probability

if TYPE_CHECKING:
    from hf_cifar.evaluation.comparison.comparison import Comparison

SIGNIFICANCE_LEVEL = 0.05


def title(comparison: "Comparison") -> str:
    """Return what is compared: `3 runs on 10,000 test images of uoft-cs/cifar10`."""
    data = comparison.dataset
    return f"{len(comparison.runs)} runs on {data.num_test:,} {data.split} images of {data.id}"


def verdict(comparison: "Comparison") -> str:
    """Return which run is best, and over which others its lead is not significant."""
    best = comparison.best
    insignificant = []
    for pair in comparison.pairs:
        if best.name in (pair.first, pair.second) and pair.p_value_holm >= SIGNIFICANCE_LEVEL:
            other = pair.second if pair.first == best.name else pair.first
            insignificant.append(f"{other} (p = {probability(pair.p_value_holm)})")
    accuracy = percent(best.accuracy, comparison.dataset.num_test)
    if insignificant:
        return (
            f"{best.name} has the highest accuracy, {accuracy}; its lead over {listed(insignificant)} is not "
            "statistically significant."
        )
    return (
        f"{best.name} has the highest accuracy, {accuracy}; its lead over every other run is statistically significant "
        f"(p < {SIGNIFICANCE_LEVEL}, McNemar's exact test)."
    )


def notes(rows: Sequence[RunRow], measurement: Measurement, robustness: Mapping[str, Robustness]) -> list[str]:
    """Return what must be known to read the tables, a sentence or two each.

    Args:
        rows: of the runs.
        measurement: how costs were measured.
        robustness: of the runs that measured it, by name.
    """
    lines = [_describe_measurement(measurement)]
    without_cost = [row.name for row in rows if row.cost is None]
    if without_cost:
        lines.append(f"The saved model of {listed(without_cost)} could not be loaded: its cost is left blank.")
    if any(row.has_two_macro_f1 for row in rows):
        lines.append(
            "Macro F1 is scikit-learn's default: a class without test images that is predicted counts as 0. The second "
            "column is the mean over the classes with test images."
        )
    if robustness:
        line = "Corrupted images: mean accuracy over corruptions and severities; not comparable with CIFAR-10-C."
        lines.append(line + (f" Measured by {listed(list(robustness))} only." if len(robustness) < len(rows) else ""))
    settings = {(entry.seed, entry.num_examples, tuple(entry.corruptions)) for entry in robustness.values()}
    if len(settings) > 1:
        lines.append("The runs were measured on different corruptions or images: seed, number or kinds differ.")
    return lines


def _describe_measurement(measurement: Measurement) -> str:
    threads = f" ({measurement.threads} threads)" if measurement.threads else ""
    return (
        f"Throughput and latency were measured on {measurement.device}{threads} with torch {measurement.torch}: "
        f"forward passes in float32, models in turn, medians of {measurement.rounds} rounds. GFLOPs count "
        "convolutions and matrix products, a multiply-add as two operations. Training time is that of the stage "
        "including predictions on validation and test, without earlier stages, cached features, or work before a "
        "resume. Peak memory is that of the GPU where one was used, otherwise of the process."
    )


def describe_test(num_pairs: int) -> str:
    """Return how the pairs were tested."""
    text = (
        "McNemar's exact test on the images that exactly one of two runs classifies correctly. Difference in accuracy, "
        "first minus second, in percentage points with a paired 95% interval (Agresti and Min, 2005)."
    )
    return text + (" p (Holm) is adjusted for all pairs." if num_pairs > 1 else "")


def describe_cost_figure(comparison: "Comparison") -> str:
    """Return the alternative text of the figure of accuracy against cost."""
    points = [
        f"{run.name} {percent(run.accuracy, run.num_examples)} at {run.cost.gflops:.3g} GFLOPs and "
        f"{run.cost.latency_ms:.3g} ms"
        for run in comparison.runs
        if run.cost is not None
    ]
    return "Accuracy against cost: " + "; ".join(points)
