"""Choose the BibTeX entries that a model card cites."""

import re
from pathlib import Path

from hf_cifar.hub.card.data import CardData

REFERENCES = Path(__file__).with_name("references.bib")


def citations(data: CardData) -> str:
    """Return the BibTeX entries of method, network, dataset and calibration, where they are known; one line each."""
    cited = {
        "kumar2022finetuning": data.is_lpft,
        "he2016deep": data.model_config.get("model_type") == "resnet",
        "dosovitskiy2021image": data.model_config.get("model_type") == "vit",
        "krizhevsky2009learning": data.is_cifar10,
        "alpaydin1998optical": data.dataset.kind == "bundled",
        "guo2017calibration": data.test.temperature is not None,
    }
    entries = REFERENCES.read_text(encoding="utf-8").strip().split("\n\n")
    keys = [re.match(r"@\w+{(\w+),", entry)[1] for entry in entries]  # type: ignore[index]
    return "\n".join(" ".join(entry.split()) for key, entry in zip(keys, entries, strict=True) if cited[key])
