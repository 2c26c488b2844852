"""The compare stage: finished runs side by side, by accuracy, robustness, cost and significance."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cifar.errors import InputError
from hf_cifar.evaluation.comparison import wording
from hf_cifar.evaluation.comparison.compared_run import ComparedRun, find_runs
from hf_cifar.evaluation.comparison.comparison import Comparison, build_comparison
from hf_cifar.evaluation.comparison.disagreements import find_disagreements, write_disagreements
from hf_cifar.evaluation.comparison.rows import Measurement, ModelCost
from hf_cifar.evaluation.comparison.tables import (
    cost_table,
    pair_table,
    quality_table,
    seed_pair_table,
    seeds_table,
)
from hf_cifar.run.request import Request
from hf_cifar.utils import processes
from hf_cifar.utils.files import write_json, write_text
from hf_cifar.utils.formatting import data_uri
from hf_cifar.utils.progress import say
from hf_cifar.utils.table import Table

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TABLE_FILE = "compare.md"
DATA_FILE = "compare.json"
PAGE_FILE = "compare.html"
DISAGREEMENTS_FILE = "disagreements.csv"
FIGURE_FILE = Path("figures", "accuracy_against_cost.png")


@dataclass(frozen=True)
class ComparisonResult:
    """Result of `--stage compare`: the comparison and its files.

    Attributes:
        output_dir: the folder with compare.html, compare.md, compare.json, disagreements.csv and the figure.
        comparison: rows, pairs, measurement and notes.
    """

    output_dir: Path
    comparison: Comparison

    @property
    def data(self) -> dict[str, Any]:
        """Return the content of compare.json."""
        return self.comparison.to_dict()

    @property
    def figure(self) -> Path:
        """Return the PNG of accuracy against cost; it is missing where no model could be loaded."""
        return self.output_dir / FIGURE_FILE

    @property
    def page(self) -> Path:
        """Return the page, which opens offline."""
        return self.output_dir / PAGE_FILE

    def tables(self) -> list[Table]:
        """Return the tables of accuracy, of all pairs, of what seeds came to, of settings that differ, and of cost."""
        runs = self.comparison.runs
        found = [
            quality_table(runs),
            pair_table(self.comparison.pairs),
            seeds_table(runs),
            seed_pair_table(self.comparison.seed_pairs),
            self.comparison.settings if self.comparison.settings.rows else None,
            cost_table(runs, self.comparison.measurement.batch_size),
        ]
        return [table for table in found if table is not None]

    def verdicts(self) -> list[str]:
        """Return which run is better and how surely, on the images and over seeds."""
        over_seeds = wording.seeds_verdict(self.comparison)
        return [wording.verdict(self.comparison), *([over_seeds] if over_seeds else [])]

    @property
    def status(self) -> int:
        """Return the exit status of the command line."""
        return 0

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output."""
        comparison = self.comparison
        return {
            "stage": "compare",
            "output_dir": str(self.output_dir),
            "dataset": comparison.dataset.id,
            "num_test": comparison.dataset.num_test,
            "page": str(self.page),
            "best": comparison.best.name,
            "runs": {run.name: run.accuracy for run in comparison.runs},
        }

    def _repr_html_(self) -> str:
        """Return verdict, tables, notes and figure for a notebook."""
        parts = [f"<p>{escape(verdict)}</p>" for verdict in self.verdicts()]
        parts += [table.html() for table in self.tables()]
        parts += [f"<p>{escape(note)}</p>" for note in self.comparison.notes]
        if self.figure.is_file():
            alternative = escape(wording.describe_cost_figure(self.comparison))
            parts.append(f'<img alt="{alternative}" src="{data_uri(self.figure)}">')
        return "".join(parts)


def run_comparison(request: Request) -> ComparisonResult:
    """Run `--stage compare`.

    Raises:
        InputError: see `compare`; or several processes were started, which would disturb each other's times.
    """
    if processes.count() > 1:
        raise InputError("--stage compare measures times in a single process: start it without torchrun")
    config = request.config
    return compare(config.comparison.runs, config.folder, config.overwrite, use_cpu=config.use_cpu)


def compare(
    runs: Sequence[str], output_dir: Path, overwrite: bool = False, *, use_cpu: bool = False
) -> ComparisonResult:
    """Compare finished runs, measure the cost of their models, and write the results.

    Args:
        runs: at least two folders, of runs (each stands for its last stage) or of stages, evaluated on the same images.
        output_dir: gets compare.html, compare.md, compare.json, disagreements.csv and
            figures/accuracy_against_cost.png.
        overwrite: replace an older comparison there.
        use_cpu: measure on the CPU even where there is an accelerator.

    Raises:
        InputError: a run is missing, unfinished, named twice or evaluated on other images; or the folder is in use.
    """
    compared = find_runs(runs)
    _refuse_folder(output_dir, overwrite)
    result = ComparisonResult(output_dir, build_comparison(compared, *_measure(compared, use_cpu)))
    _save(result, compared)
    for table in result.tables():
        say(f"\n{table.title}\n\n{table.markdown(padded=True)}")
    say("\n" + "\n".join(result.comparison.notes))
    say("\n" + "\n".join(result.verdicts()))
    say(f"comparison: open {result.page}")
    return result


def _refuse_folder(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output-dir {folder} is a file: give a folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise InputError(f"--output-dir {folder} is in use: --overwrite replaces the comparison there")
    if not (folder / DATA_FILE).is_file():
        raise InputError(f"--output-dir {folder} holds something other than a comparison: give another folder")


def _measure(runs: Sequence[ComparedRun], use_cpu: bool) -> tuple[list[ModelCost | None], Measurement]:
    """Measure the cost of each run's model; None where it cannot be loaded any more."""
    # Heavy: not imported for a request that is refused.
    from hf_cifar.config.locate import locate_checkpoint
    from hf_cifar.evaluation.comparison.cost import measure_costs
    from hf_cifar.models.load import load_checkpoint

    models: dict[str, tuple[PreTrainedModel, Any]] = {}
    for run in runs:
        try:
            models[run.name] = load_checkpoint(locate_checkpoint(run.model), use_cpu=use_cpu)
        except InputError as error:
            # Its metrics can be compared all the same.
            say(f"warning: the cost of {run.name} is left out: {error}")
    say(f"measuring the cost of {len(models)} models")
    costs, measurement = measure_costs(list(models.values()))
    by_name = dict(zip(models, costs, strict=True))
    return [by_name.get(run.name) for run in runs], measurement


def _save(result: ComparisonResult, runs: Sequence[ComparedRun]) -> None:
    """Write the figure, the tables, the page, and last the data, with which the comparison is done."""
    from hf_cifar.evaluation.comparison.cost_figure import cost_figure
    from hf_cifar.evaluation.comparison.page import write_comparison_page
    from hf_cifar.evaluation.comparison.pictures import tested_images

    comparison, folder = result.comparison, result.output_dir
    (folder / DATA_FILE).unlink(missing_ok=True)
    result.figure.unlink(missing_ok=True)
    if comparison.has_costs:
        cost_figure(result.figure, comparison.runs, wording.title(comparison), comparison.measurement.device)
    groups = find_disagreements(runs)
    write_text(folder / TABLE_FILE, _markdown(result))
    write_disagreements(folder / DISAGREEMENTS_FILE, runs, groups)
    images = tested_images(runs) if groups else None
    write_comparison_page(result.page, comparison, runs, groups, images, result.figure)
    write_json(folder / DATA_FILE, comparison.to_dict())


def _markdown(result: ComparisonResult) -> str:
    """Return the content of compare.md."""
    comparison = result.comparison
    parts = [f"# {wording.title(comparison)}", *result.verdicts()]
    for table in result.tables():
        parts += [f"## {table.title}", table.markdown(padded=True)]
    parts += comparison.notes
    if comparison.has_costs:
        parts.append(f"![{wording.describe_cost_figure(comparison)}]({FIGURE_FILE.as_posix()})")
    parts += ["## How it was tested", wording.describe_test(len(comparison.pairs), bool(comparison.seed_pairs))]
    return "\n\n".join(parts) + "\n"
