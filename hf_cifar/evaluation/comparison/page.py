"""Write the page of a comparison: verdict, tables, settings that differ, and the images on which runs disagree."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cifar.errors import InputError
from hf_cifar.evaluation.comparison import wording
from hf_cifar.evaluation.comparison.compared_run import ComparedRun
from hf_cifar.evaluation.comparison.comparison import Comparison
from hf_cifar.evaluation.comparison.disagreements import Disagreements, file_of
from hf_cifar.evaluation.comparison.tables import cost_table, pair_table, quality_table, seed_pair_table, seeds_table
from hf_cifar.evaluation.embedded import Answer, EmbeddedImage, small_picture
from hf_cifar.utils.files import write_text
from hf_cifar.utils.formatting import data_uri, number, percent
from hf_cifar.utils.page.page import page_template

if TYPE_CHECKING:
    from hf_cifar.data.images import LabeledImages

TEMPLATE = Path(__file__).with_name("compare.html")
MAX_GROUPS = 8
MAX_PICTURES = 60  # of all groups
MAX_FILES = 20  # that a group names beside its pictures


@dataclass(frozen=True)
class ShownGroup:
    """Images on which the same runs are right, as the page shows them.

    Attributes:
        title: which runs are right.
        count: of the images.
        images: with a picture.
        others: file, label and answers of images without one.
        more: how many are neither shown nor named.
    """

    title: str
    count: str
    images: list[EmbeddedImage]
    others: list[str]
    more: int


def write_comparison_page(
    path: Path,
    comparison: Comparison,
    runs: Sequence[ComparedRun],
    groups: Sequence[Disagreements],
    images: "LabeledImages | None",
    figure: Path,
) -> None:
    """Write the page, which opens offline and loads nothing.

    Args:
        path: of the page.
        comparison: what it shows.
        runs: that were compared.
        groups: the images on which they disagree.
        images: those that they were tested on, in the order of the runs' arrays; None: the page has no pictures.
        figure: accuracy against cost; it may be missing.
    """
    costs = cost_table(comparison.runs, comparison.measurement.batch_size)
    tests = [pair_table(comparison.pairs), seed_pair_table(comparison.seed_pairs)]
    share = max(4, MAX_PICTURES // max(1, min(len(groups), MAX_GROUPS)))
    text = page_template(TEMPLATE).render(
        title=wording.title(comparison),
        verdict=wording.verdict(comparison),
        seeds_verdict=wording.seeds_verdict(comparison),
        quality=quality_table(comparison.runs),
        seeds=seeds_table(comparison.runs),
        tests=[table for table in tests if table is not None],
        test_text=wording.describe_test(len(comparison.pairs), bool(comparison.seed_pairs)),
        settings=comparison.settings,
        num_disagreements=number(sum(len(group.positions) for group in groups)),
        num_images=number(len(runs[0].index)),
        groups=[_shown(group, runs, images, share) for group in groups[:MAX_GROUPS]],
        num_groups_left=max(0, len(groups) - MAX_GROUPS),
        costs=costs,
        notes=comparison.notes,
        figure=data_uri(figure) if figure.is_file() else None,
        figure_text=wording.describe_cost_figure(comparison),
        folders=[(run.name, run.folder) for run in comparison.runs],
    )
    write_text(path, text)


def _shown(group: Disagreements, runs: Sequence[ComparedRun], images: "LabeledImages | None", share: int) -> ShownGroup:
    pictured: list[EmbeddedImage] = []
    for position in group.positions[: share if images is not None else 0]:
        assert images is not None
        try:
            (picture,) = images.decode([int(position)])
        except InputError:
            break  # a file that is gone or damaged since: it is named below
        pictured.append(_embedded(runs, int(position), *small_picture(picture)))
    left = group.positions[len(pictured) :]
    named = left[: MAX_FILES if images is None else 0]
    others = [_described(runs, int(position)) for position in named]
    return ShownGroup(group.title, number(len(group.positions)), pictured, others, len(left) - len(named))


def _embedded(runs: Sequence[ComparedRun], position: int, source: str, is_tiny: bool) -> EmbeddedImage:
    answers = [
        Answer(
            text=str(run.predictions[position]),
            probability=percent(float(run.confidence[position]), decimals=1),
            by=run.name,
            mark="✓" if run.correct[position] else "✗",
        )
        for run in runs
    ]
    return EmbeddedImage(
        source=source,
        is_tiny=is_tiny,
        alternative=_described(runs, position),
        label=f"labelled {runs[0].labels[position]}",
        answers=answers,
        file=file_of(runs, position),
    )


def _described(runs: Sequence[ComparedRun], position: int) -> str:
    """Return file, label and answers of an image in words."""
    answers = [f"{run.name} says {run.predictions[position]}" for run in runs]
    return f"{file_of(runs, position)}: labelled {runs[0].labels[position]}; {', '.join(answers)}"
