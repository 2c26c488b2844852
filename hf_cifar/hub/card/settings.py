"""The training settings of each stage, side by side, under the names of their options."""

import math
from typing import Any

from hf_cifar.config.options.finetune import FinetuneConfig
from hf_cifar.config.options.imbalance import ImbalanceConfig
from hf_cifar.config.options.probe import ProbeConfig
from hf_cifar.hub.card.command import option_text, relevant_arguments
from hf_cifar.hub.card.data import CardData, TrainedStage
from hf_cifar.hub.card.markdown import code
from hf_cifar.run.train_summary import FinetuneSummary
from hf_cifar.utils.formatting import MISSING, duration, number
from hf_cifar.utils.table import Table

TITLES = {"probe": "Linear probe", "finetune": "Fine-tuning"}
ALWAYS_SHOWN = ("solver", "features", "unfreeze", "bn", "scheduler")
NEVER_SHOWN = ("training", "from_", "feature_cache", "learning_rates", "strengths")


def settings(data: CardData) -> str:
    """Return the settings and costs of the model's stages as a table with a column a stage.

    Options that have the package's default are left out, except those that name the method.
    """
    columns = [_settings(data, stage) for stage in data.stages]
    names = sorted(dict.fromkeys(name for column in columns[::-1] for name in column), key=_is_result)
    rows = [[name, *(column.get(name, MISSING) for column in columns)] for name in names]
    return Table(["", *(TITLES[stage.name] for stage in data.stages)], rows, 1 + len(columns)).markdown(escaped=False)


def _settings(data: CardData, stage: TrainedStage) -> dict[str, str]:
    train, chosen = stage.train, stage.train.chosen
    options: ProbeConfig | FinetuneConfig = data.config.probe if stage.name == "probe" else data.config.finetune
    default = type(options)()
    shown: dict[str, Any] = {
        name: value
        for name, value in vars(options).items()
        if name not in NEVER_SHOWN and (name in ALWAYS_SHOWN or value != getattr(default, name))
    }
    balance, usual = data.config.imbalance, ImbalanceConfig()
    if train.balancing.is_on:
        shown |= {name: value for name, value in vars(balance).items() if value != getattr(usual, name)}
    if chosen.metric not in (None, "accuracy"):
        shown["selection_metric"] = chosen.metric
    solved = chosen.strength is not None
    if not solved:
        shown |= {"momentum": data.config.momentum} if options.training.get("optim") == "sgd" else {}
        shown |= relevant_arguments(options.training)
    if isinstance(train, FinetuneSummary):
        shown["learning_rate"] = train.learning_rate
    rows = {f"`{name}`": code(option_text(data, name, value), in_table=True) for name, value in sorted(shown.items())}
    if isinstance(options, ProbeConfig):
        name, value, grid = ("strength", chosen.strength, options.strengths)
        if not solved:
            name, value = "learning_rate", chosen.learning_rate
            grid = [] if name in options.training else options.learning_rates
        rows[f"`{name}`"] = code(f"{value:g}")
        if len(grid) > 1:
            rows[f"`{name}`"] += f", best on validation of {option_text(data, name, grid).replace(',', ', ')}"
    if chosen.epoch is not None:
        kept = "none: the start was better on validation" if chosen.is_start else number(chosen.epoch)
        rows["Kept epoch"] = kept if chosen.is_start else f"{kept} of {number(train.epochs or 0)}"
    if chosen.interpolation is not None:
        rows["Weight interpolation"] = f"{chosen.interpolation:g} (0: starting weights, 1: fine-tuned weights)"
    rows["Seed"] = str(stage.metrics.seed)
    rows["Trained parameters"] = f"{train.trainable_parameters:,} of {train.total_parameters:,}"
    processes = f" in {train.processes} processes" if train.processes > 1 else ""
    rows["Time, peak memory"] = f"{duration(train.seconds)}{processes}, {math.ceil(train.peak_memory_mb):,} MB"
    return rows


def _is_result(name: str) -> bool:
    return not name.startswith("`")
