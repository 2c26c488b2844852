"""The registry: complete, light, and the same words everywhere."""

import subprocess
import sys
from dataclasses import replace

import pytest
from support.made_up_stage import ROBUSTNESS, history_of, make_stage

from hf_cifar.evaluation.figures.collection import save_figures
from hf_cifar.evaluation.figures.registry import FIGURES, FigureData, Section, figure_named


def test_every_drawn_figure_is_registered_with_title_and_text(figures, tmp_path):
    stage = make_stage(tmp_path, robustness=ROBUSTNESS)
    drawn = save_figures(stage.folder, stage.metrics, stage.images)
    assert list(drawn) == [figure.name for figure in FIGURES if figure.draw is not None]
    titles = {drawn_figure.texts[0].get_text() for drawn_figure in figures}
    for name in drawn:
        figure = figure_named(name)
        assert figure is not None and figure.title in titles
        assert figure.describe(stage.metrics, history_of())


def test_names_are_unique_and_found_with_and_without_suffix():
    names = [figure.name for figure in FIGURES]
    assert len(names) == len(set(names))
    assert figure_named("reliability.png") is figure_named("reliability")
    assert figure_named("holiday") is None
    assert figure_named("confusion_matrix").section is Section.CONFUSIONS


def test_without_data_there_is_neither_figure_nor_text(tmp_path):
    stage = make_stage(tmp_path, "evaluate")
    for name in ("learning_curves", "robustness", "augmentation"):
        assert figure_named(name).describe(stage.metrics, []) is None
    for name in ("learning_curves", "robustness", "mistakes", "label_errors"):
        assert not figure_named(name).draw(tmp_path / "it.png", FigureData(stage.metrics))
    old = replace(stage.metrics, test=replace(stage.metrics.test, reliability=[]))
    assert figure_named("reliability").describe(old, []) is None
    assert not (tmp_path / "it.png").exists()


@pytest.mark.parametrize("heavy", ["matplotlib", "torch", "transformers", "datasets"])
def test_listing_figures_imports_nothing_heavy(heavy):
    code = f"import sys, hf_cifar.evaluation.figures.registry; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
