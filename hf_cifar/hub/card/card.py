"""The model card: README.md of a trained model, from the files of its run. No network, no torch."""

import json
import re
from pathlib import Path
from typing import Any

from hf_cifar.hub.card import facts, tables
from hf_cifar.hub.card import limits as use
from hf_cifar.hub.card import settings as how
from hf_cifar.hub.card.citations import citations
from hf_cifar.hub.card.data import CardData, StageData
from hf_cifar.hub.card.markdown import listed, loss, percent, plain
from hf_cifar.hub.card.merge import BEGIN, END, edited_inside, mark, merge_card, sealed
from hf_cifar.hub.card.metadata import license_of, metadata
from hf_cifar.utils.files import write_aside, write_text
from hf_cifar.utils.progress import say

__all__ = ["CARD_FILE", "CardData", "merge_card", "render_card", "write_card"]

CARD_FILE = "README.md"
TEMPLATE = "template.md"
FOLDED_ROWS = 12


def write_card(stage_folder: Path, to: Path, *, hub_model_id: str | None = None, license: str | None = None) -> None:
    """Write the card of a stage's model to `to/README.md`, and beside it the pictures that it shows.

    A README that is there already is merged with it: see `merge_card`.

    Args:
        stage_folder: `runs/NAME/probe` or `runs/NAME/finetune`; the card of one shows the other beside it.
        to: the folder of the model; it gets README.md, figures/ and examples/.
        hub_model_id: the repository that the card is for.
        license: as the Hub names it; default: the base model's, if known.

    Raises:
        InputError: no training stage is done there, or the header of the README in `to` cannot be read.
    """
    data = CardData.read(stage_folder, hub_model_id, license)
    card, file = _render(data), to / CARD_FILE
    if file.is_file():
        existing = file.read_text(encoding="utf-8")
        card = merge_card(existing, card)
        if edited_inside(existing) and card != existing and not edited_inside(card):
            say(f"warning: {file} was edited between its marks: what was written there is replaced by the new results")
    shown = [("figures", name) for name in data.figures] + [("examples", each["file"]) for each in data.examples]
    for folder, name in shown:
        picture = (data.folder.path / folder / name).read_bytes()
        write_aside(to / folder / name, lambda aside, content=picture: aside.write_bytes(content))  # type: ignore[misc]
    write_text(file, card)


def render_card(stage_folder: Path, *, hub_model_id: str | None = None, license: str | None = None) -> str:
    """The card of a stage's model, header and text; the same bytes for the same files.

    Args:
        stage_folder: `runs/NAME/probe` or `runs/NAME/finetune`.
        hub_model_id: the repository that the card is for; without one its snippets are for the folder of the card.
        license: as the Hub names it; default: the base model's, if known.

    Raises:
        InputError: no training stage is done there.
    """
    return _render(CardData.read(stage_folder, hub_model_id, license))


def _render(data: CardData) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        finalize=_something,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": lambda value: f"{value:,}", "python": lambda value: json.dumps(str(value))}
    text = environment.get_template(TEMPLATE).render(_context(data))
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip()
    return sealed(f"---\n{metadata(data).to_yaml(line_break=chr(10))}\n---\n\n{text}\n")


def _something(value: Any) -> Any:
    """What the template prints; never nothing in disguise."""
    if value is None or str(value) in ("None", "nan"):
        raise ValueError("the card's template prints a value that is missing")
    return value


def _context(data: CardData) -> dict[str, Any]:
    test = data.test
    hidden = tables.per_class(data)[1]
    figures = facts.figures(data)
    command, options = how.command(data), how.non_defaults(data)
    return {
        "begin": BEGIN,
        "end": END,
        "mark": mark(),
        "title": _title(data),
        "architecture": data.architecture,
        "dataset": plain(data.dataset_name),
        "dataset_words": facts.dataset(data),
        "classes": _classes(data),
        "num_labels": len(data.label_names),
        "made": _made(data),
        "random_weights": data.random_weights,
        "test": test,
        "seed": data.stage.metrics["seed"],
        "accuracy": percent(test["accuracy"], test["num_examples"]),
        "interval": tables.interval(test),
        "repository": data.hub_model_id,
        "model": data.hub_model_id or ".",
        "example": _example(data),
        "examples": tables.examples(data),
        "results": tables.results(data),
        "gain": tables.gain(data),
        "majority": facts.majority(data),
        "per_class": tables.per_class(data)[0],
        "hidden_classes": hidden,
        "shown_classes": len(data.label_names) - hidden,
        "confused_pairs": tables.confused_pairs(data),
        "mistakes": tables.worst_mistakes(data),
        "confidence": facts.confidence(data),
        "temperature": f"{test['temperature']:.4f}" if test.get("temperature") is not None else None,
        "ece": loss(test["ece"]),
        "ece_calibrated": loss(test.get("ece_calibrated")),
        "thresholds": tables.thresholds(data),
        "robustness": tables.robustness(data),
        "robust": _robust(data),
        "figures": figures,
        "pictures": lambda part: "\n\n".join(tables.figure(name, alt) for name, alt in figures[part]),
        "splits": _splits(data),
        "counts": tables.class_counts(data)[0],
        "counts_fold": tables.class_counts(data)[1],
        "corrupt": facts.corrupt(data),
        "preprocessing": listed(facts.preprocessing(data)) if facts.preprocessing(data) else None,
        "augmentation": how.augmentation(data) if data.stage.name == "finetune" else None,
        "labels": tables.label_list(data),
        "stages": [_stage(data, stage) for stage in data.stages],
        "times": facts.times(data),
        "hardware": facts.hardware(data),
        "versions": tables.versions(data),
        "command": command,
        "command_of_file": how.command_of_file(data),
        "whole_run": data.stage.name == "probe" and data.other is not None,
        "placeholders": how.PLACEHOLDER in command,
        "options": tables.options(options) if options else None,
        "limits": use.limits(data),
        "intended": use.intended(data),
        "license": license_of(data),
        "citations": citations(data),
    }


def _title(data: CardData) -> str:
    words = {"probe": "linear probe on", "finetune": "trained on" if data.random_weights else "fine-tuned on"}
    name = data.architecture[0].upper() + data.architecture[1:]
    return f"{name} {words[data.stage.name]} {plain(data.dataset_name)}"


def _classes(data: CardData) -> str:
    """How many classes, and their names where they are few."""
    names = data.label_names
    few = f" ({', '.join(plain(name) for name in names)})" if len(names) <= 10 else ""
    return f"the {len(names)} classes of {plain(data.dataset_name)}{few}"


def _made(data: CardData) -> str:
    """How the model was made, as the end of a sentence."""
    base = facts.base(data)
    if data.stage.name == "probe":
        return f"by a linear head that was trained on the frozen features of {base}"
    if data.lpft:
        return (
            f"trained from {base} in two steps: a linear head on the frozen backbone, and then the backbone with it "
            "([LP-FT](https://arxiv.org/abs/2202.10054))"
        )
    if data.config.finetune.from_ is not None:
        return f"fine-tuned from {how.start(data)}"
    if data.random_weights:
        return "trained from random weights"
    head = " and a new head" if str(data.train.get("start", "")).endswith("a new head") else ""
    return f"fine-tuned from {base}{head}"


def _example(data: CardData) -> dict[str, str] | None:
    """The image of the snippet, the first that is answered correctly, and what `pipeline` returns for it."""
    if not data.examples:
        return None
    right = (each for each in data.examples if each["output"][0]["label"] == each["label"])
    example = next(right, data.examples[0])
    output = "\n".join(repr({"label": each["label"], "score": each["score"]}) for each in example["output"])
    return {"path": f"examples/{example['file']}", "label": plain(example["label"]), "output": output}


def _robust(data: CardData) -> dict[str, Any] | None:
    section = data.stage.metrics.get("robustness")
    if not section:
        return None
    count = section["num_examples"]
    return {
        "num_examples": count,
        "mean": percent(section["mean_corruption_accuracy"], count),
        "clean": percent(section["clean_accuracy"], count),
        "corruptions": len(section["corruptions"]),
        "severities": max(len(values) for values in section["corruptions"].values()),
        "seed": section["seed"],
    }


def _splits(data: CardData) -> str:
    dataset = data.stage.metrics["dataset"]
    uses = {"train": "trained on", "validation": "everything was chosen on it", "test": "looked at once, at the end"}
    rows = [
        [name, plain(dataset["splits"][name]), uses[name], f"{dataset[f'num_{name}']:,}"]
        for name in ("train", "validation", "test")
    ]
    return tables.table(["Split", "Where from", "What for", "Images"], rows, left=3)


def _stage(data: CardData, stage: StageData) -> dict[str, Any]:
    """One stage of training, for the template."""
    log = tables.log(stage)
    chosen = stage.metrics["train"]["chosen"].get("epoch")
    number = f"{data.stages.index(stage) + 1}. " if data.lpft else ""
    return {
        "title": number + ("Linear probe" if stage.name == "probe" else "Fine-tuning"),
        "settings": tables.pairs(how.settings(data, stage)),
        "grid": tables.grid(data, stage),
        "log": log[0] if log else None,
        "left_out": log[1] if log else 0,
        "fold": log is not None and (stage.name == "probe" or log[0].count("\n") > FOLDED_ROWS),
        "kept": " (the kept epoch in bold)" if chosen is not None else "",
    }
