"""Training curves: lines against the columns of the history."""

import pytest
from matplotlib.colors import to_hex
from support.drawings import words
from support.made_up_stage import heads_of, history_of

from hf_cifar.evaluation.figures.curves import curves_figure, describe_curves
from hf_cifar.run.train_summary import Chosen


def curves_of(axis) -> list[list[float]]:
    return [list(line.get_ydata()) for line in axis.lines if line.get_transform() == axis.transData]


def test_curves_are_the_columns_of_the_history(figures, tmp_path):
    history = history_of(epochs=4)
    assert curves_figure(tmp_path / "it.png", history, Chosen(epoch=3.0))
    loss, scores, rates = figures[0].axes
    for axis, columns in (
        (loss, ("loss", "validation_nll")),
        (scores, ("validation_accuracy", "validation_f1_macro")),
        (rates, ("learning_rate/stem", "learning_rate/head")),
    ):
        assert curves_of(axis) == [[row[column] for row in history] for column in columns]
        assert list(axis.lines[0].get_xdata()) == [3.0, 3.0]
        assert axis.get_xlim() == loss.get_xlim()
    assert "Vertical line: selected epoch, 3" in words(figures[0])
    assert {"stem", "head", "training", "validation", "accuracy", "macro F1"} <= set(words(figures[0]))


def test_groups_that_share_a_rate_are_one_line(figures, tmp_path):
    history = [{**row, "learning_rate/head": row["learning_rate/stem"]} for row in history_of()]
    curves_figure(tmp_path / "it.png", history)
    assert len(curves_of(figures[0].axes[2])) == 1
    assert "all layers" in words(figures[0])


def test_competing_heads_are_drawn_and_the_kept_one_stands_out(figures, tmp_path):
    history = heads_of()
    curves_figure(tmp_path / "it.png", history, Chosen(learning_rate=0.3))
    heads = figures[0].axes[0]
    lines = [line for line in heads.lines if line.get_transform() == heads.transData]
    for line, rate in zip(lines, ("0.1", "0.3", "1"), strict=True):
        assert list(line.get_ydata()) == [row[f"validation_accuracy/{rate}"] for row in history]
    widths = [line.get_linewidth() for line in lines]
    assert widths[1] > widths[0] == widths[2]
    assert len({to_hex(line.get_color()) for line in lines}) == 3


def test_a_path_of_strengths_is_drawn_by_strength(figures, tmp_path):
    history = [
        {"strength": 10.0**-power, "loss": 1.0 / power, "validation_accuracy": 0.1 * power, "validation_nll": 1.0}
        for power in (1, 2, 3)
    ]
    assert curves_figure(tmp_path / "it.png", history, Chosen(strength=0.01))
    axis = figures[0].axes[0]
    assert axis.get_xscale() == "log"
    assert [0.001, 0.01, 0.1] in [list(line.get_xdata()) for line in axis.lines]


@pytest.mark.parametrize("history", [history_of(1), heads_of(1), [{"epoch": 1.0, "step": 1, "loss": 0.0}]])
def test_one_row_of_history_is_enough(history, tmp_path):
    assert curves_figure(tmp_path / "it.png", history)


def test_rows_without_validation_are_left_out_of_its_lines(figures, tmp_path):
    history = [{"epoch": 0.5, "step": 5, "loss": 3.0, "learning_rate": 0.1}, *history_of(2)]
    curves_figure(tmp_path / "it.png", history)
    loss, scores, _ = figures[0].axes
    assert [len(line) for line in curves_of(loss)] == [3, 2]
    assert scores.get_xlim() == loss.get_xlim()
    assert [len(line) for line in curves_of(scores)] == [2, 2]


def test_without_a_history_there_is_no_figure(tmp_path):
    assert not curves_figure(tmp_path / "it.png", [])
    assert not (tmp_path / "it.png").exists()


@pytest.mark.parametrize(
    ("history", "chosen", "text"),
    [
        (
            history_of(),
            Chosen(epoch=3.0, step=30),
            "Training curves over 4 epochs; training loss from 2.0000 to 0.5000; validation accuracy from 50.00% to "
            "87.50%; best 87.50%; selected: epoch 3.",
        ),
        (heads_of(2), Chosen(learning_rate=0.3), "best 90.00%; selected: learning rate 0.3."),
        ([{"strength": 0.1, "validation_accuracy": 0.97777}], None, "Validation accuracy at 1 L2 strengths; "),
    ],
)
def test_alternative_text(history, chosen, text):
    assert text in describe_curves(history, chosen)
