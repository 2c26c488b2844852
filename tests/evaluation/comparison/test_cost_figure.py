"""The picture of accuracy against cost: points where they belong, names that do not overlap."""

from itertools import pairwise

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from hf_cifar.evaluation.comparison.cost_figure import cost_figure
from hf_cifar.evaluation.comparison.rows import ModelCost, RunRow


def run(name: str, accuracy: float, gflops: float | None) -> RunRow:
    latency = 0 if gflops is None else 10 * gflops
    cost = None if gflops is None else ModelCost(1000, gflops, (32, 32), 100.0, latency, (0.9 * latency, 1.2 * latency))
    return RunRow(
        name=name,
        folder="",
        stage="probe",
        model="",
        base_model=None,
        seed=0,
        accuracy=accuracy,
        accuracy_ci95=(accuracy - 0.01, min(1.0, accuracy + 0.01)),
        balanced_accuracy=accuracy,
        f1_macro=accuracy,
        f1_macro_present=accuracy,
        top5_accuracy=1.0,
        num_classes=10,
        nll=0.1,
        ece=0.01,
        ece_calibrated=None,
        mean_corruption_accuracy=None,
        parameters=1000,
        cost=cost,
        peak_memory_mb=None,
        training_seconds=None,
        num_examples=1000,
    )


CROWD = [run(f"run-{number}/finetune", 0.9 + 0.0005 * number, 0.3) for number in range(10)]
FAR = [run("a/probe", 0.2, 0.001), run("b/probe", 1.0, 300.0), run("gone/probe", 0.5, None)]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, laid out."""
    figures = []
    save = Figure.savefig

    def keep(self, *arguments, **options):
        save(self, *arguments, **options)
        figures.append(self)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


@pytest.mark.parametrize("runs", [CROWD, FAR, CROWD[:1] * 2])
def test_names_overlap_neither_each_other_nor_the_axes_and_are_in_the_picture(runs, drawn, tmp_path):
    cost_figure(tmp_path / "figure.png", runs, "some runs", "some processor")
    (figure,) = drawn
    shown = sorted((item for item in runs if item.cost), key=lambda item: item.accuracy)
    # Of the words alone: an annotation's own extent has its arrow in it.
    boxes = [Text.get_window_extent(text) for text in figure.axes[1].texts]
    assert [text.get_text().split()[0] for text in figure.axes[1].texts] == [item.name for item in shown]
    for lower, upper in pairwise(boxes):
        assert lower.y1 <= upper.y0
    for box in boxes:
        assert box.x0 > figure.axes[1].bbox.x1
        assert box.x1 <= figure.bbox.x1 + 1 and figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
    labels = [axis.xaxis.label.get_window_extent() for axis in figure.axes]
    assert labels[0].x1 < labels[1].x0


def test_points_and_intervals_are_where_they_belong(drawn, tmp_path):
    cost_figure(tmp_path / "figure.png", FAR, "some runs", "some processor")
    for axis, cost in zip(drawn[0].axes, ("gflops", "latency_ms"), strict=True):
        assert axis.get_xscale() == "log"
        points = [container.lines[0].get_xydata()[0].tolist() for container in axis.containers]
        assert points == [[getattr(FAR[0].cost, cost), 20.0], [getattr(FAR[1].cost, cost), 100.0]]
        for container, item in zip(axis.containers, FAR, strict=False):
            segments = [line.get_segments()[0] for line in container.lines[2]]
            ends = sorted((100 * item.accuracy_ci95[0], 100 * item.accuracy_ci95[1]))
            assert sorted(segments[1][:, 1]) == pytest.approx(ends)
            if cost == "latency_ms":
                assert segments[0][:, 0].tolist() == pytest.approx(list(item.cost.latency_ms_quartiles))
        low, high = axis.get_xlim()
        assert low < getattr(FAR[0].cost, cost) and getattr(FAR[1].cost, cost) < high


def test_same_bytes_each_time(tmp_path):
    contents = []
    for name in ("one", "two"):
        cost_figure(tmp_path / f"{name}.png", CROWD, "some runs", "some processor")
        contents.append((tmp_path / f"{name}.png").read_bytes())
    assert contents[0] == contents[1]
    with Image.open(tmp_path / "one.png") as picture:
        assert min(picture.size) > 500 and picture.info.get("Software") is None
