"""Names from outside and numbers in Markdown."""

import pytest

from hf_cifar.hub.card.markdown import code, duration, loss, percent, plain, table


@pytest.mark.parametrize(
    ("fraction", "count", "shown"),
    [
        (0.97772, 359, "97.77 %"),
        (0.99999, 10_000, "99.99 %"),
        (0.99998, 50_000, "99.998 %"),
        (0.29, 100, "29.00 %"),  # 0.29 * 100 is less than 29 in binary
        (1.0, 144, "100.00 %"),
        (None, 0, "–"),
    ],
)
def test_accuracies_are_never_rounded_up(fraction, count, shown):
    assert percent(fraction, count) == shown


def test_losses_are_never_rounded_down():
    assert loss(0.04461) == "0.0447"
    assert loss(0.1) == "0.1000"
    assert loss(None) == "–"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ("`rm`", r"\`rm\`"),
        ("two\nlines", "two lines"),
        ("[a](http://b)", r"\[a\](http&#58;//b)"),
        ("_x_ snake_case", r"\_x\_ snake_case"),
        ("1e3", "1e3"),
    ],
)
def test_names_are_shown_as_they_are(name, shown):
    assert plain(name) == shown


def test_code_holds_back_quotes_and_bars():
    assert code("a`b") == "`` a`b ``"
    assert code("a|b") == "`a|b`"
    assert code("a|b", cell=True) == r"`a\|b`"


def test_a_table_aligns_its_numbers():
    assert table(["Class", "n"], [["cat", "3"]]).splitlines() == ["| Class | n |", "| :--- | ---: |", "| cat | 3 |"]


def test_durations():
    assert [duration(seconds) for seconds in (12.34, 814, 7500)] == ["12.3 s", "13 min 34 s", "2 h 05 min"]
