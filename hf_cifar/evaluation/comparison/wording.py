"""Sentences of a comparison: title, verdict, notes, and the alternative text of its figure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hf_cifar.evaluation.comparison.mcnemar import SIGNIFICANCE_LEVEL
from hf_cifar.evaluation.comparison.rows import Measurement, PairRow, RunRow, SeedPairRow
from hf_cifar.evaluation.intervals import CONFIDENCE_LEVEL
from hf_cifar.run.stage_metrics import Robustness
from hf_cifar.utils.formatting import counted, listed, percent, probability, signed_interval

if TYPE_CHECKING:
    from hf_cifar.evaluation.comparison.comparison import Comparison


def title(comparison: "Comparison") -> str:
    """Return what is compared: `3 runs on 10,000 test images of uoft-cs/cifar10`."""
    data = comparison.dataset
    return f"{len(comparison.runs)} runs on {data.num_test:,} {data.split} images of {data.id}"


def verdict(comparison: "Comparison") -> str:
    """Return which run is best, over which others by how much and how surely, and whose lead may be luck."""
    best, count = comparison.best, comparison.dataset.num_test
    leads = [_lead_of(best.name, pair) for pair in comparison.pairs if best.name in (pair.first, pair.second)]
    sure = [(other, lead) for other, lead, is_sure in leads if is_sure]
    unsure = [(other, lead) for other, lead, is_sure in leads if not is_sure]
    accuracy = percent(best.accuracy, count)
    if len(comparison.runs) > 2:
        words = []
        if sure:
            words.append("it is better than " + listed([f"{name} ({lead})" for name, lead in sure]))
        if unsure:
            words.append("its lead over " + listed([f"{name} ({lead})" for name, lead in unsure]) + " can be luck")
        return f"{best.name} has the highest accuracy, {accuracy} on {count:,} images; {'; '.join(words)}."
    other, lead = (sure or unsure)[0]
    second = next(run for run in comparison.runs if run.name == other)
    both = f"{accuracy} against {percent(second.accuracy, count)} on {count:,} images"
    if sure:
        return f"{best.name} is better than {other}: {both}, {lead}."
    if second.accuracy == best.accuracy:
        return f"{best.name} and {other} are right equally often, {both}; where they differ can be luck ({lead})."
    return f"The difference can be luck: {best.name} and {other} reach {both}, {lead}."


def _lead_of(name: str, pair: PairRow | SeedPairRow) -> tuple[str, str, bool]:
    """Return whom a run leads, by how much in words, and whether that is sure; it may stand second in the pair."""
    sign, other = (1, pair.second) if pair.first == name else (-1, pair.first)
    words = [f"{100 * sign * pair.difference:+.2f} points"]
    if pair.interval is not None and pair.p_value_holm is not None:
        low, high = signed_interval(sorted(sign * bound for bound in pair.interval))
        p_value = probability(pair.p_value_holm)
        kind = "95% interval" if abs(pair.level - CONFIDENCE_LEVEL) < 1e-9 else "interval"
        words += [f"{kind} {low} to {high}", f"p {p_value}" if p_value.startswith("<") else f"p = {p_value}"]
    return other, ", ".join(words), pair.p_value_holm is not None and pair.p_value_holm < SIGNIFICANCE_LEVEL


def seeds_verdict(comparison: "Comparison") -> str | None:
    """Return whether means over seeds differ, which says something of the training; None where no run has seeds."""
    if all(run.seeds is None for run in comparison.runs):
        return None
    sentences = [_of_seeds(pair) for pair in comparison.seed_pairs]
    single = [run.name for run in comparison.runs if run.seeds is None]
    if single:
        are, their = ("is a single seed", "its") if len(single) == 1 else ("are single seeds", "their")
        sentences.append(f"{listed(single)} {are}: how much of {their} accuracy is luck of the seed is not known.")
    return " ".join(sentences)


def _of_seeds(pair: SeedPairRow) -> str:
    if pair.interval is None:
        return f"No seed of {pair.first} or {pair.second} differs from another: there is no spread to judge by."
    best = pair.first if pair.difference >= 0 else pair.second
    other, lead, is_sure = _lead_of(best, pair)
    if is_sure:
        return f"Over seeds, training as {best} is better than as {other}: mean accuracy {lead}."
    return f"Over seeds, the difference between training as {best} and as {other} can be luck: mean accuracy {lead}."


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
    threads = f" ({counted(measurement.threads, 'thread')})" if measurement.threads else ""
    return (
        f"Throughput and latency were measured on {measurement.device}{threads} with torch {measurement.torch}: "
        f"forward passes in float32, models in turn, medians of {measurement.rounds} rounds. GFLOPs count "
        "convolutions and matrix products, a multiply-add as two operations. Training time is that of the stage "
        "including predictions on validation and test, without earlier stages, cached features, or work before a "
        "resume. Peak memory is that of the GPU where one was used, otherwise of the process."
    )


def describe_test(num_pairs: int, has_seeds: bool = False) -> str:
    """Return how the pairs were tested."""
    text = (
        "McNemar's exact test on the images that exactly one of two runs classifies correctly. Difference in accuracy, "
        "first minus second, in percentage points, with the paired interval of the same test (Fay and Lumbard, 2021): "
        "it leaves out 0 where p is below 0.05, and only there."
    )
    if num_pairs > 1:
        text += (
            " p (Holm) is adjusted for all pairs, and each interval has the level at which Holm's procedure tests its "
            "pair, 95% or more."
        )
    if has_seeds:
        text += (
            " The test on the images is of the models that were kept, on images like these; Welch's t test over seeds "
            "is of the way of training, on these images. Neither says what the other does."
        )
    return text


def describe_cost_figure(comparison: "Comparison") -> str:
    """Return the alternative text of the figure of accuracy against cost."""
    points = [
        f"{run.name} {percent(run.accuracy, run.num_examples)} at {run.cost.gflops:.3g} GFLOPs and "
        f"{run.cost.latency_ms:.3g} ms"
        for run in comparison.runs
        if run.cost is not None
    ]
    return "Accuracy against cost: " + "; ".join(points)
