"""Write the model card: README.md of a trained model, from the files of its run. No network, no torch."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_cifar.evaluation import seeds
from hf_cifar.hub.card import command, limits, pictures, sentences, tables
from hf_cifar.hub.card.citations import citations
from hf_cifar.hub.card.data import CardData, ExportedForm
from hf_cifar.hub.card.markdown import plain
from hf_cifar.hub.card.merge import BEGIN, END, is_edited_inside, marker, merge_card, sealed
from hf_cifar.hub.card.metadata import header, license_of
from hf_cifar.hub.card.network import preprocessing
from hf_cifar.hub.card.settings import settings
from hf_cifar.utils.files import write_aside, write_text
from hf_cifar.utils.formatting import interval, listed, percent
from hf_cifar.utils.progress import say

CARD_FILE = "README.md"
TEMPLATE = "template.md"


def write_card(
    stage_folder: Path,
    to: Path,
    *,
    hub_model_id: str | None = None,
    license: str | None = None,
    exported: ExportedForm | None = None,
) -> None:
    """Write the card of a stage's model to `to/README.md`, and beside it the pictures that it shows.

    A README that exists already is merged with it: see `merge_card`.

    Args:
        stage_folder: `runs/NAME/probe` or `runs/NAME/finetune`; the card of one shows the other beside it.
        to: the folder of the model; it gets README.md, figures/ and examples/.
        hub_model_id: the repository that the card is for.
        license: as the Hub names it; default: the base model's, if known.
        exported: what the exported model has that the stage's own has not.

    Raises:
        InputError: no training stage is finished there, or the header of the README in `to` cannot be read.
    """
    data = CardData.read(stage_folder, hub_model_id, license, exported)
    card, file = _render(data), to / CARD_FILE
    if file.is_file():
        existing = file.read_text(encoding="utf-8")
        card = merge_card(existing, card)
        if is_edited_inside(existing) and card != existing and not is_edited_inside(card):
            say(f"warning: {file} was edited between its markers: these edits are replaced by the new results")
    for name, content in pictures.picture_files(data):
        write_aside(to / name, lambda aside, content=content: aside.write_bytes(content))  # type: ignore[misc]
    write_text(file, card)


def render_card(stage_folder: Path, *, hub_model_id: str | None = None, license: str | None = None) -> str:
    """Return the card of a stage's model, header and text; the same bytes for the same files.

    Args:
        stage_folder: `runs/NAME/probe` or `runs/NAME/finetune`.
        hub_model_id: the repository that the card is for; without one its snippets are for the folder of the card.
        license: as the Hub names it; default: the base model's, if known.

    Raises:
        InputError: no training stage is finished there.
    """
    return _render(CardData.read(stage_folder, hub_model_id, license))


def _render(data: CardData) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        finalize=_refuse_missing,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "number": lambda value: f"{value:,}",
        "python": lambda value: json.dumps(str(value)),
        "percent": percent,
        "interval": interval,
        "listed": listed,
        "plain": plain,
    }
    environment.filters |= filters
    text = environment.get_template(TEMPLATE).render(
        data=data,
        test=data.test,
        example=next((item for item in data.examples if item.is_correct), data.examples[0] if data.examples else None),
        steps=preprocessing(data.processor),
        settings=settings(data),
        references=citations(data),
        license=license_of(data),
        **{"begin": BEGIN, "end": END, "marker": marker()},
        seeds=seeds,
        **{"tables": tables, "sentences": sentences, "limits": limits, "command": command, "pictures": pictures},
    )
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip()
    return sealed(f"---\n{header(data)}---\n\n{text}\n")


def _refuse_missing(value: Any) -> Any:
    if value is None or str(value) in ("None", "nan"):
        raise ValueError("the card's template prints a value that is missing")
    return value
