"""`--stage compare`: runs side by side, by accuracy, robustness and cost, and which differ by more than chance."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError
from hf_cifar.evaluation.comparison.compared_run import ComparedRun, find_runs
from hf_cifar.evaluation.comparison.mcnemar import holm, mcnemar
from hf_cifar.evaluation.comparison.tables import Table, cost_table, pair_table, probability, quality_table
from hf_cifar.utils import processes
from hf_cifar.utils.files import write_json, write_text
from hf_cifar.utils.progress import say

TABLE_FILE = "compare.md"
DATA_FILE = "compare.json"
FIGURE_FILE = Path("figures", "accuracy_against_cost.png")
COSTS = ("gflops", "image_size", "images_per_second", "latency_ms", "latency_ms_quartiles")
LEVEL = 0.05


@dataclass(frozen=True)
class ComparisonResult:
    """What a comparison has come to.

    Attributes:
        output_dir: the folder with compare.md, compare.json and the figure.
        data: the content of compare.json: dataset, runs (in the order given), pairs, measurement, best, notes.
    """

    output_dir: Path
    data: dict[str, Any]

    @property
    def figure(self) -> Path:
        """A PNG of accuracy against cost; it is not there where no run's model could be loaded."""
        return self.output_dir / FIGURE_FILE

    def tables(self) -> list[Table]:
        """Accuracy, cost, and every two runs."""
        runs = self.data["runs"]
        return [
            quality_table(runs),
            cost_table(runs, self.data["measurement"]["batch_size"]),
            pair_table(self.data["pairs"]),
        ]

    @property
    def status(self) -> int:
        """The exit status of the command line."""
        return 0

    def summary(self) -> dict[str, Any]:
        """The last line of standard output."""
        return {
            "stage": "compare",
            "output_dir": str(self.output_dir),
            "dataset": self.data["dataset"]["id"],
            "num_test": self.data["dataset"]["num_test"],
            "best": self.data["best"],
            "runs": {run["name"]: run["accuracy"] for run in self.data["runs"]},
        }

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        parts = [table.html() for table in self.tables()]
        parts += [f"<p>{escape(note)}</p>" for note in self.data["notes"]]
        if self.figure.is_file():
            content = base64.b64encode(self.figure.read_bytes()).decode()
            parts.append(f'<img alt="{escape(_alternative(self.data))}" src="data:image/png;base64,{content}">')
        return "".join(parts)


def run_comparison(config: RunConfig) -> ComparisonResult:
    """Run `--stage compare` as a configuration asks.

    Raises:
        InputError: see `compare`; or several processes were started, which would disturb each other's times.
    """
    if processes.count() > 1:
        raise InputError("--stage compare measures times, one process at a time: start it without torchrun")
    if config.resume:
        raise InputError("--resume with --stage compare: there is nothing to go on with; --overwrite replaces it")
    use_cpu = bool(config.computing.get("use_cpu", False))
    return compare(config.comparison.runs, config.folder, config.overwrite, use_cpu=use_cpu)


def compare(
    runs: Sequence[str], output_dir: Path, overwrite: bool = False, *, use_cpu: bool = False
) -> ComparisonResult:
    """Lay finished runs side by side, measure what their models cost, and write it down.

    Args:
        runs: at least two folders, of runs (each stands for its last stage) or of stages, measured on the same images.
        output_dir: gets compare.md, compare.json and figures/accuracy_against_cost.png.
        overwrite: replace an older comparison there.
        use_cpu: measure on the CPU even where there is an accelerator.

    Raises:
        InputError: a run is not there, not done, named twice or measured on other images; or the folder is in use.
    """
    found = find_runs(runs)
    _refuse_folder(output_dir, overwrite)
    costs, measurement = _costs(found, use_cpu)
    rows = [_row(run, cost) for run, cost in zip(found, costs, strict=True)]
    data = {
        "stage": "compare",
        "dataset": {"id": found[0].dataset["id"], "split": found[0].split, "num_test": len(found[0].index)},
        "best": max(rows, key=lambda row: row["accuracy"])["name"],
        "runs": rows,
        "pairs": _pairs(found),
        "measurement": measurement,
        "notes": _notes(rows, measurement, found),
    }
    result = ComparisonResult(output_dir, data)
    _save(result)
    for table in result.tables():
        say(f"\n{table.markdown()}")
    say("\n" + "\n".join(data["notes"]))
    say(f"comparison: {output_dir / TABLE_FILE}")
    return result


def _refuse_folder(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output-dir {folder} is a file: give a folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise InputError(f"--output-dir {folder} is in use: --overwrite replaces the comparison there")
    if not (folder / DATA_FILE).is_file():
        raise InputError(f"--output-dir {folder} holds something else than a comparison: give another folder")


def _costs(runs: Sequence[ComparedRun], use_cpu: bool) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """For each run what its model costs; nothing where the model cannot be loaded any more."""
    # Heavy, and of no use to a request that is refused.
    from hf_cifar.config.locate import locate_checkpoint
    from hf_cifar.evaluation.comparison.cost import measure_costs
    from hf_cifar.models.load import load_checkpoint

    models: dict[str, Any] = {}
    for run in runs:
        try:
            models[run.name] = load_checkpoint(locate_checkpoint(run.model), use_cpu=use_cpu)
        except InputError as error:
            # What was measured of it can be compared all the same.
            say(f"warning: what {run.name} costs is left out: {error}")
    say(f"measuring what {len(models)} models cost, in turn")
    measured, how = measure_costs(list(models.values()))
    by_name = dict(zip(models, measured, strict=True))
    return [by_name.get(run.name, {}) for run in runs], how


def _row(run: ComparedRun, cost: dict[str, Any]) -> dict[str, Any]:
    """A run as compare.json has it; null where it does not say, as those of older versions do not."""
    test, train = run.metrics["test"], run.training
    robustness = run.metrics.get("robustness") or {}
    low, high = test["accuracy_ci95"]
    return {
        "name": run.name,
        "folder": str(run.folder.path),
        **{name: run.metrics.get(name) for name in ("stage", "model", "base_model", "seed")},
        "accuracy": test["accuracy"],
        "accuracy_ci95": [low, high],
        **{name: test.get(name) for name in ("f1_macro", "top5_accuracy", "nll", "ece", "ece_calibrated")},
        "mean_corruption_accuracy": robustness.get("mean_corruption_accuracy"),
        "parameters": cost.get("parameters", train.get("total_parameters")),
        **{name: cost.get(name) for name in COSTS},
        "peak_memory_mb": train.get("peak_memory_mb"),
        "training_seconds": train.get("seconds"),
    }


def _pairs(runs: Sequence[ComparedRun]) -> list[dict[str, Any]]:
    pairs = [
        {"first": one.name, "second": other.name, **mcnemar(one.correct, other.correct)}
        for one, other in combinations(runs, 2)
    ]
    adjusted = holm([pair["p_value"] for pair in pairs])
    return [pair | {"p_value_holm": value} for pair, value in zip(pairs, adjusted, strict=True)]


def _notes(rows: list[dict[str, Any]], measurement: dict[str, Any], runs: Sequence[ComparedRun]) -> list[str]:
    """What must be known to read the tables, a sentence or two each."""
    threads = f" (threads: {measurement['threads']})" if measurement["threads"] else ""
    notes = [
        f"Time was measured on {measurement['device']}{threads} with torch {measurement['torch']}: the network alone, "
        f"in float32, the models in turn, medians of {measurement['rounds']} rounds. GFLOPs are those of convolutions "
        "and matrix products; a multiplication and an addition are two. Training time is a stage's, with the "
        "predictions of its validation and test images, without an earlier stage, and without what a cache had or a "
        "run did before it was resumed; peak memory is the GPU's where one was used, otherwise the process's."
    ]
    without = [row["name"] for row in rows if row["gflops"] is None]
    if without:
        notes.append(f"The saved model of {', '.join(without)} could not be loaded: what it costs is blank.")
    asked = {run.name: run.metrics["robustness"] for run in runs if run.metrics.get("robustness")}
    if asked:
        notes.append(
            "Corrupted images: mean accuracy over corruptions and severities, not comparable with CIFAR-10-C."
            + (f" Only {', '.join(asked)} measured it." if len(asked) < len(rows) else "")
        )
    ways = {(item.get("seed"), item.get("num_examples"), tuple(item.get("corruptions", ()))) for item in asked.values()}
    if len(ways) > 1:
        notes.append("The runs were not given the same corruptions of the same images: seed, number or kinds differ.")
    return notes


def _verdict(data: dict[str, Any]) -> str:
    """Which run is ahead, and of which others that may be chance."""
    doubtful = []
    for pair in data["pairs"]:
        names = [pair["first"], pair["second"]]
        if data["best"] in names and pair["p_value_holm"] >= LEVEL:
            names.remove(data["best"])
            doubtful.append(f"{names[0]} (p = {probability(pair['p_value_holm'])})")
    best = next(run for run in data["runs"] if run["name"] == data["best"])
    ahead = f"{data['best']} has the highest accuracy, {best['accuracy']:.2%}"
    if doubtful:
        return f"{ahead}; its lead over {', '.join(doubtful)} may be chance."
    return f"{ahead}, ahead of each other run by more than chance (p < {LEVEL}, McNemar's exact test)."


def _save(result: ComparisonResult) -> None:
    """Write the figure, the tables, and last the data, with which the comparison is done."""
    from hf_cifar.evaluation.comparison.cost_figure import cost_figure

    data, folder = result.data, result.output_dir
    (folder / DATA_FILE).unlink(missing_ok=True)
    result.figure.unlink(missing_ok=True)
    quality, cost, pairs = (table.markdown() for table in result.tables())
    dataset = data["dataset"]
    title = f"{len(data['runs'])} runs on {dataset['num_test']:,} {dataset['split']} images of {dataset['id']}"
    has_figure = any(run["gflops"] is not None for run in data["runs"])
    if has_figure:
        cost_figure(result.figure, data["runs"], title, data["measurement"]["device"])
    parts = [
        f"# {title}",
        _verdict(data),
        quality,
        "## Cost",
        cost,
        *data["notes"],
        *([f"![{_alternative(data)}]({FIGURE_FILE.as_posix()})"] if has_figure else []),
        "## More than chance?",
        pairs,
        "McNemar's exact test on the images that one of two runs gets right and the other wrong; difference in points "
        "of accuracy, first less second, with a paired 95 % interval (Agresti and Min, 2005)."
        + (" p (Holm) allows for all the pairs at once." if len(data["pairs"]) > 1 else ""),
    ]
    write_text(folder / TABLE_FILE, "\n\n".join(parts) + "\n")
    write_json(folder / DATA_FILE, data)


def _alternative(data: dict[str, Any]) -> str:
    """The figure in words."""
    points = [
        f"{run['name']} {run['accuracy']:.1%} at {run['gflops']:.3g} GFLOPs and {run['latency_ms']:.3g} ms"
        for run in data["runs"]
        if run["gflops"] is not None
    ]
    return "Accuracy against cost: " + "; ".join(points)
