"""Checks that every card passes."""

import re

import yaml
from huggingface_hub import ModelCard


def rows_of(card: str) -> list[list[str]]:
    """The cells of every line of a table."""
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in card.splitlines() if line.startswith("|")]


def check(card: str) -> dict:
    """Check what holds for every card; return its header."""
    assert "\n\n\n" not in card
    assert not re.search(r"\bNone\b|\bnan\b|\binf\b|[Mm]ore information needed|from scratch|\]\(\)|UNK", card)
    assert not re.search(r"^#+ .*\n+(#|<!-- hf_cifar:end)(?!##)", re.sub(r"^### ", "", card, flags=re.M), flags=re.M)
    assert card.count("<details>") == card.count("</details>")
    assert card.count("```") % 2 == 0
    widths = [len(row) for row in rows_of(card)]
    assert widths
    for table in re.findall(r"(?:^\|.*\n)+", card, flags=re.M):
        assert len({len(row) for row in rows_of(table)}) == 1, table
    parsed = ModelCard(card)
    values = yaml.safe_load(card.split("---\n")[1])
    assert parsed.data.to_dict() == values
    assert ModelCard(str(parsed)).data.to_dict() == values
    assert parsed.data.eval_results
    return values
