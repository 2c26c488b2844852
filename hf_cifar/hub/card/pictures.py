"""The pictures of a model card: figures of its stage, and example images enlarged for the eye."""

import io
from collections.abc import Iterator

from hf_cifar.evaluation.figures.registry import FIGURES, figure_named
from hf_cifar.evaluation.history import read_history
from hf_cifar.hub.card.data import CardData
from hf_cifar.hub.card.markdown import plain
from hf_cifar.hub.examples import Example
from hf_cifar.utils.formatting import percent

EXAMPLE_SIDE = 128  # pixels: smaller images are enlarged by a whole number, larger ones shown at this width
SHOWN = "confusion_matrix"  # the other figures are folded


def figure(data: CardData, name: str) -> str:
    """Return a figure of the stage with its alternative text, or nothing where the stage has none of that name."""
    if name not in data.figures:
        return ""
    known, text = figure_named(name), name.replace("_", " ").capitalize()
    if known is not None:
        text = known.describe(data.stage.metrics, read_history(data.folder.history)) or known.title
    return f"![{plain(text)}](figures/{name}.png)"


def other_figures(data: CardData) -> str:
    """Return the figures that the text of the card does not show, in the order of the report."""
    order = [item.name for item in FIGURES]
    names = sorted(data.figures, key=lambda name: order.index(name) if name in order else len(order))
    return "\n".join(figure(data, name) for name in names if name != SHOWN)


def example_table(data: CardData) -> str:
    """Return the example images with their labels and predictions as a table with a column an image."""
    if not data.examples:
        return ""
    rows = [
        ["", *(_shown(data, example) for example in data.examples)],
        [":---", *(":---:" for _ in data.examples)],
        ["True label", *(plain(example.label) for example in data.examples)],
        ["Prediction", *(_answer(example) for example in data.examples)],
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def picture_files(data: CardData) -> Iterator[tuple[str, bytes]]:
    """Yield each file that the card shows or names: its path beside the card, and its content."""
    for name in [f"figures/{name}.png" for name in data.figures] + [f"examples/{item.file}" for item in data.examples]:
        yield name, (data.folder.path / name).read_bytes()
    for example in data.examples:
        if _factor(data, example) > 1:
            yield _enlarged_name(example), _enlarged(data, example)


def _shown(data: CardData, example: Example) -> str:
    factor, text = _factor(data, example), plain(example.label)
    if factor > 1:
        return f"![{text}]({_enlarged_name(example)})"
    text = text.replace('"', "&quot;")
    return f'<img src="examples/{example.file}" alt="{text}" width="{EXAMPLE_SIDE}">'


def _answer(example: Example) -> str:
    best = example.output[0]
    return f"{plain(best.label)} ({percent(best.score)})"


def _factor(data: CardData, example: Example) -> int:
    return max(1, EXAMPLE_SIDE // max(data.size_of(example)))


def _enlarged_name(example: Example) -> str:
    return f"figures/example_{example.file}"


def _enlarged(data: CardData, example: Example) -> bytes:
    """Return an example as PNG with each of its pixels as a square: a page would blur what it enlarges."""
    from PIL import Image

    width, height = data.size_of(example)
    factor, content = _factor(data, example), io.BytesIO()
    with Image.open(data.folder.examples / example.file) as image:
        image.resize((width * factor, height * factor), Image.Resampling.NEAREST).save(content, format="PNG")
    return content.getvalue()
