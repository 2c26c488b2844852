"""Names in other scripts than Latin: drawn by an installed font that has them, or boxed with a warning."""

import pytest
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text

from hf_cifar.evaluation.figures import fonts
from hf_cifar.evaluation.figures.fonts import drawable, families
from hf_cifar.evaluation.figures.style import png_figure, shorten, text_width


@pytest.fixture(autouse=True)
def nothing_seen_yet(monkeypatch):
    monkeypatch.setattr(fonts, "_fallbacks", [])
    monkeypatch.setattr(fonts, "_known", {})
    monkeypatch.setattr(fonts, "_unsaid", set())


def only_in(family: str) -> str:
    """A letter that the default font lacks and another that matplotlib brings along has."""
    own, other = (get_font(findfont(name)).get_charmap() for name in ("DejaVu Sans", family))
    return chr(min(set(other) - set(own) - set(range(0x2100))))


def test_another_installed_font_fills_in_what_the_default_one_lacks(figures, tmp_path, capsys):
    character = only_in("STIXGeneral")
    assert families() == ["DejaVu Sans"]
    with png_figure(tmp_path / "it.png", 3, 2, "title") as figure:
        axis = figure.add_axes((0.2, 0.2, 0.6, 0.6))
        axis.set_xticks([0, 1], [shorten(f"class {character}"), "b"])  # without a glyph matplotlib warns: an error here
    assert any(character in text.get_text() for text in figures[0].findobj(Text))
    assert len(families()) == 2
    assert ord(character) in get_font(findfont(families()[1])).get_charmap()
    assert capsys.readouterr().err == ""


def test_what_no_font_has_is_boxed_and_said_once(tmp_path, capsys):
    missing = "\U0001e2ae"  # Toto, which is in no usual font
    if drawable(f"x{missing}") == f"x{missing}":
        pytest.skip("an installed font has Toto letters")
    for _ in range(2):
        with png_figure(tmp_path / "it.png", 3, 2, f"x{missing}") as figure:
            assert next(text.get_text() for text in figure.findobj(Text)) == "x\u25a1"
    words = capsys.readouterr().err
    assert words.count("warning") == 1 and missing in words and "Noto Sans" in words


def test_what_has_no_shape_of_its_own_is_left_out():
    assert drawable("ab\x07") == "ab"


def test_wide_letters_get_more_room():
    assert text_width(["\u732b\u732b"]) > 1.5 * text_width(["aa"])
