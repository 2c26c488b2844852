"""Several seeds of one stage: mean, standard deviation and interval, as numbers, a table and a sentence."""

import math
import statistics
from collections.abc import Sequence

from hf_cifar.evaluation.intervals import t_interval
from hf_cifar.evaluation.wording import METRIC_NAMES
from hf_cifar.run.seed_summary import MEASURES, SeedRow, SeedSummary, Soup, Spread
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.formatting import error, interval, listed, percent, points
from hf_cifar.utils.table import Table

_LOW_IS_BETTER = ("nll", "ece")
_NAMES = {**METRIC_NAMES, "ece": "ECE"}


def summarize_seeds(metrics: Sequence[StageMetrics], metric: str, kept: int, soup: Soup | None = None) -> SeedSummary:
    """Return what a stage came to over several seeds.

    Args:
        metrics: of the stage, one a seed, measured on the same images.
        metric: of `--selection-metric`.
        kept: the seed whose model is kept.
        soup: averaged weights, if any.
    """
    rows = [
        SeedRow(item.seed, validation_value(item, metric), {name: float(getattr(item.test, name)) for name in MEASURES})
        for item in metrics
    ]
    return SeedSummary(metric, rows, {name: _spread(name, rows) for name in MEASURES}, kept, soup)


def validation_value(metrics: StageMetrics, metric: str) -> float:
    """Return the selection metric of a training stage on its validation split."""
    assert metrics.validation is not None
    return float(getattr(metrics.validation, metric))


def _spread(name: str, rows: Sequence[SeedRow]) -> Spread:
    values = [row.test[name] for row in rows]
    low, high = t_interval(values)
    highest = math.inf if name == "nll" else 1.0
    return Spread(statistics.fmean(values), statistics.stdev(values), (max(low, 0.0), min(high, highest)))


def seed_table(summary: SeedSummary) -> Table:
    """Return the test metrics of each seed, their mean and their standard deviation."""
    rows = [
        [
            f"{row.seed}{' (kept)' if row.seed == summary.kept and not summary.keeps_soup else ''}",
            _shown(summary.metric, row.validation),
            *(_shown(name, row.test[name]) for name in MEASURES),
        ]
        for row in summary.rows
    ]
    rows.append(["mean", "", *(_shown(name, summary.spread[name].mean) for name in MEASURES)])
    rows.append(["standard deviation", "", *(_deviation(name, summary.spread[name].std) for name in MEASURES)])
    columns = ["seed", f"validation {_NAMES[summary.metric]}", *(_NAMES[name] for name in MEASURES)]
    return Table(columns, rows, 1)


def describe_seeds(summary: SeedSummary) -> str:
    """Return mean, standard deviation and interval of the test accuracy, and which model was kept."""
    spread = summary.spread["accuracy"]
    words = (
        f"Over {len(summary.rows)} seeds on the same images the mean test accuracy is {percent(spread.mean)}, its "
        f"standard deviation {_deviation('accuracy', spread.std)} points, and the 95% interval of the mean (Student's "
        f"t) {interval(spread.ci95)}. Seeds differ in the order of the images, new heads and augmentation, not in the "
        "splits."
    )
    return f"{words} {_kept(summary)}"


def _kept(summary: SeedSummary) -> str:
    name = _NAMES[summary.metric]
    if summary.soup is None:
        return f"Seed {summary.kept} is kept: it has the best validation {name}."
    if not summary.keeps_soup:
        return f"No average of weights was as good on validation as seed {summary.kept}, which is kept."
    members = listed([str(seed) for seed in summary.soup.seeds])
    return (
        f"The average of the weights of seeds {members} is kept (greedy soup): validation {name} "
        f"{_shown(summary.metric, summary.soup.validation)}."
    )


def _shown(name: str, value: float) -> str:
    return error(value) if name in _LOW_IS_BETTER else percent(value)


def _deviation(name: str, value: float) -> str:
    return error(value) if name in _LOW_IS_BETTER else points(value, up=True)
