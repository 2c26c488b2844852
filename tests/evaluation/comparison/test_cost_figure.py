"""The picture of accuracy against cost: points where they belong, names that do not overlap."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from scipy.optimize import minimize

from hf_cifar.evaluation.comparison.cost_figure import cost_figure, spread


def run(name: str, accuracy: float, gflops: float | None, **values) -> dict:
    latency = None if gflops is None else 10 * gflops
    return {
        "name": name,
        "accuracy": accuracy,
        "accuracy_ci95": [accuracy - 0.01, min(1.0, accuracy + 0.01)],
        "gflops": gflops,
        "latency_ms": latency,
        "latency_ms_quartiles": None if latency is None else [0.9 * latency, 1.2 * latency],
        **values,
    }


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
    shown = sorted((item for item in runs if item["gflops"]), key=lambda item: item["accuracy"])
    # Of the words alone: an annotation's own extent has its arrow in it.
    boxes = [Text.get_window_extent(text) for text in figure.axes[1].texts]
    assert [text.get_text().split()[0] for text in figure.axes[1].texts] == [item["name"] for item in shown]
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
        assert points == [[FAR[0][cost], 20.0], [FAR[1][cost], 100.0]]
        for container, item in zip(axis.containers, FAR, strict=False):
            segments = [line.get_segments()[0] for line in container.lines[2]]
            ends = sorted((100 * item["accuracy_ci95"][0], 100 * item["accuracy_ci95"][1]))
            assert sorted(segments[1][:, 1]) == pytest.approx(ends)
            if cost == "latency_ms":
                assert segments[0][:, 0].tolist() == pytest.approx(item["latency_ms_quartiles"])
        low, high = axis.get_xlim()
        assert low < FAR[0][cost] and FAR[1][cost] < high


def test_same_bytes_each_time(tmp_path):
    contents = []
    for name in ("one", "two"):
        cost_figure(tmp_path / f"{name}.png", CROWD, "some runs", "some processor")
        contents.append((tmp_path / f"{name}.png").read_bytes())
    assert contents[0] == contents[1]
    with Image.open(tmp_path / "one.png") as picture:
        assert min(picture.size) > 500 and picture.info.get("Software") is None


def test_spread_moves_as_little_as_it_takes():
    rng = np.random.default_rng(0)
    for count in (1, 2, 5, 9):
        places = np.sort(rng.random(count))
        found = np.array(spread(places.tolist(), 0.1))
        assert (np.diff(found) >= 0.1 - 1e-9).all()
        fits = [{"type": "ineq", "fun": lambda x, at=at: x[at + 1] - x[at] - 0.1} for at in range(count - 1)]
        best = minimize(lambda x, places=places: ((x - places) ** 2).sum(), found, constraints=fits, method="SLSQP")
        assert ((found - places) ** 2).sum() <= best.fun + 1e-6
    assert spread([], 0.1) == []
