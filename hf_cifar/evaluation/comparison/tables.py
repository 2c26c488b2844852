"""Tables of a comparison."""

from collections.abc import Callable, Sequence

from hf_cifar.evaluation.comparison.rows import ModelCost, PairRow, RunRow
from hf_cifar.utils.formatting import MISSING, duration, error, interval, percent, points, probability
from hf_cifar.utils.table import Table

# Heading, cell of a run, and whether the column stays where no run can fill it.
_Column = tuple[str, Callable[[RunRow], str], bool]


def quality_table(runs: Sequence[RunRow]) -> Table:
    """Return accuracy and the other metrics of each run; optional columns that no run fills are left out."""
    has_two_macro_f1 = any(run.has_two_macro_f1 for run in runs)
    columns: list[_Column] = [
        ("accuracy (95% interval)", _accuracy, True),
        ("macro F1", lambda run: percent(run.f1_macro), True),
        (
            "macro F1, classes with images",
            lambda run: percent(run.f1_macro_present) if has_two_macro_f1 else MISSING,
            False,
        ),
        ("top-5", lambda run: percent(run.top5_accuracy, run.num_examples), True),
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


def pair_table(pairs: Sequence[PairRow]) -> Table:
    """Return every two runs, and whether they differ significantly."""
    columns = ["first", "second", "only first correct", "only second correct", "difference (95% interval)", "p"]
    rows = []
    for pair in pairs:
        counts = [f"{pair.test.only_first_right:,}", f"{pair.test.only_second_right:,}"]
        p_values = [pair.test.p_value, pair.p_value_holm][: 2 if len(pairs) > 1 else 1]
        rows.append([pair.first, pair.second, *counts, _difference(pair), *map(probability, p_values)])
    return Table([*columns, "p (Holm)"] if len(pairs) > 1 else columns, rows, 2, "McNemar's test")


def _table(title: str, columns: Sequence[_Column], runs: Sequence[RunRow]) -> Table:
    cells = [(heading, [write(run) for run in runs], always) for heading, write, always in columns]
    kept = [(heading, column) for heading, column, always in cells if always or set(column) != {MISSING}]
    rows = [[run.name, *(column[index] for _, column in kept)] for index, run in enumerate(runs)]
    return Table(["run", *(heading for heading, _ in kept)], rows, title=title)


def _accuracy(run: RunRow) -> str:
    return f"{percent(run.accuracy, run.num_examples)} ({interval(run.accuracy_ci95, run.num_examples)})"


def _cost(write: Callable[[ModelCost], str]) -> Callable[[RunRow], str]:
    return lambda run: MISSING if run.cost is None else write(run.cost)


def _memory(run: RunRow) -> str:
    return MISSING if run.peak_memory_mb is None else f"{run.peak_memory_mb:,.0f} MB"


def _count(value: int | None) -> str:
    if value is None:
        return MISSING
    return f"{value / 1e6:.3g} M" if value >= 1e6 else f"{value:,}"


def _difference(pair: PairRow) -> str:
    """Return a signed difference with its interval; the interval is rounded outwards."""
    low, high = pair.test.difference_ci95
    return f"{100 * pair.test.difference:+.2f} ({_signed(points(low))} to {_signed(points(high, up=True))})"


def _signed(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"
