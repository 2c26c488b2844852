"""Text from outside in Markdown."""

import pytest

from hf_cifar.hub.card.markdown import bold, code, plain


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
    assert code("a|b", in_table=True) == r"`a\|b`"


def test_bold_leaves_what_is_missing():
    assert [bold("1"), bold("1", False), bold("–")] == ["**1**", "1", "–"]
