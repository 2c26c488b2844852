"""Tables of a comparison."""

from collections.abc import Callable, Sequence

from hf_cifar.evaluation.comparison.rows import ModelCost, PairRow, RunRow, SeedPairRow
from hf_cifar.run.seed_summary import SeedSummary
from hf_cifar.utils.formatting import (
    MISSING,
    duration,
    error,
    interval,
    number,
    percent,
    points,
    probability,
    signed_interval,
)
from hf_cifar.utils.table import Table

# Heading, cell of a run, and whether the column stays where no run can fill it.
_Column = tuple[str, Callable[[RunRow], str], bool]


def quality_table(runs: Sequence[RunRow]) -> Table:
    """Return accuracy and the other metrics of each run; optional columns that no run fills are left out."""
    has_two_macro_f1 = any(run.has_two_macro_f1 for run in runs)
    columns: list[_Column] = [
        ("accuracy (95% interval)", _accuracy, True),
        ("balanced accuracy", lambda run: percent(run.balanced_accuracy, run.num_examples), True),
        ("macro F1", lambda run: percent(run.f1_macro), True),
        (
            "macro F1, classes with images",
            lambda run: percent(run.f1_macro_present) if has_two_macro_f1 else MISSING,
            False,
        ),
        ("top-5", _top5, False),
        ("ECE", lambda run: error(run.ece), True),
        ("ECE calibrated", lambda run: error(run.ece_calibrated), False),
        ("corrupted images", lambda run: percent(run.mean_corruption_accuracy), False),
    ]
    return _table("Accuracy", columns, runs)


def cost_table(runs: Sequence[RunRow], batch_size: int) -> Table:
    """Return what each run costs."""
    columns: list[_Column] = [
        ("input", _cost(lambda cost: "×".join(map(str, cost.image_size))), True),
        ("parameters", lambda run: _count(run.parameters), True),
        ("GFLOPs per image", _cost(lambda cost: f"{cost.gflops:.3g}"), True),
        (f"images/s (batch of {batch_size})", _cost(lambda cost: f"{cost.images_per_second:,.0f}"), True),
        ("latency of one image", _cost(lambda cost: f"{cost.latency_ms:,.3g} ms"), True),
        ("training: peak memory", _memory, True),
        ("training: time", lambda run: duration(run.training_seconds), True),
    ]
    return _table("Cost", columns, runs)


def seeds_table(runs: Sequence[RunRow]) -> Table | None:
    """Return what runs over several seeds came to, in test accuracy; None where there is no such run."""
    rows = [_seeds(run, run.seeds) for run in runs if run.seeds is not None]
    columns = [
        "run",
        "seeds",
        "mean accuracy (95% interval)",
        "standard deviation",
        "mean balanced accuracy",
        "kept seed",
    ]
    return Table(columns, rows, title="Over seeds") if rows else None


def _seeds(run: RunRow, seeds: SeedSummary) -> list[str]:
    spread, balanced = seeds.spread["accuracy"], seeds.spread["balanced_accuracy"]
    kept = f"average of {len(seeds.soup.seeds)}" if seeds.soup and seeds.keeps_soup else str(seeds.kept)
    mean = f"{percent(spread.mean)} ({interval(spread.ci95)})"
    return [run.name, number(len(seeds.rows)), mean, points(spread.std, up=True), percent(balanced.mean), kept]


def pair_table(pairs: Sequence[PairRow]) -> Table:
    """Return every two runs, and whether they differ significantly; p and interval are of the same test."""
    columns = ["first", "second", "only first correct", "only second correct", *_of_test(len(pairs))]
    rows = []
    for pair in pairs:
        counts = [f"{pair.test.only_first_right:,}", f"{pair.test.only_second_right:,}"]
        rows.append([pair.first, pair.second, *counts, _difference(pair), probability(pair.p_value_holm)])
    return Table(columns, rows, 2, "McNemar's test")


def seed_pair_table(pairs: Sequence[SeedPairRow]) -> Table | None:
    """Return every two runs over several seeds, and whether their means differ; None where there are none."""
    rows = [
        [
            pair.first,
            pair.second,
            _difference(pair),
            MISSING if pair.p_value_holm is None else probability(pair.p_value_holm),
        ]
        for pair in pairs
    ]
    return (
        Table(["first", "second", *_of_test(len(pairs))], rows, 2, "Means over seeds: Welch's t test") if rows else None
    )


def _of_test(num_pairs: int) -> list[str]:
    """Return the headings of difference and p; adjusted where there are several pairs."""
    if num_pairs > 1:
        return ["difference (interval, adjusted)", "p (Holm)"]
    return ["difference (95% interval)", "p"]


def _table(title: str, columns: Sequence[_Column], runs: Sequence[RunRow]) -> Table:
    cells = [(heading, [write(run) for run in runs], always) for heading, write, always in columns]
    kept = [(heading, column) for heading, column, always in cells if always or set(column) != {MISSING}]
    rows = [[run.name, *(column[index] for _, column in kept)] for index, run in enumerate(runs)]
    return Table(["run", *(heading for heading, _ in kept)], rows, title=title)


def _accuracy(run: RunRow) -> str:
    return f"{percent(run.accuracy, run.num_examples)} ({interval(run.accuracy_ci95, run.num_examples)})"


def _top5(run: RunRow) -> str:
    return percent(run.top5_accuracy, run.num_examples) if run.num_classes > 5 else MISSING


def _cost(write: Callable[[ModelCost], str]) -> Callable[[RunRow], str]:
    return lambda run: MISSING if run.cost is None else write(run.cost)


def _memory(run: RunRow) -> str:
    return MISSING if run.peak_memory_mb is None else f"{run.peak_memory_mb:,.0f} MB"


def _count(value: int | None) -> str:
    if value is None:
        return MISSING
    return f"{value / 1e6:.3g} M" if value >= 1e6 else f"{value:,}"


def _difference(pair: PairRow | SeedPairRow) -> str:
    """Return a signed difference with its interval; the interval is rounded outwards."""
    if pair.interval is None:
        return f"{100 * pair.difference:+.2f}"
    low, high = signed_interval(pair.interval)
    return f"{100 * pair.difference:+.2f} ({low} to {high})"
