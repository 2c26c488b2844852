"""A card that is written again over one that a person may have edited."""

import hashlib
import re
from typing import Any

import yaml
from huggingface_hub.utils import yaml_dump

from hf_cifar.errors import InputError
from hf_cifar.hub.card.data import BUNDLED
from hf_cifar.hub.card.metadata import known_license

BEGIN = "<!-- hf_cifar:begin -->"
END = "<!-- hf_cifar:end -->"
_BLOCK = re.compile(rf"^{re.escape(BEGIN)}[ \t]*\n(.*?)^{re.escape(END)}[ \t]*$", re.MULTILINE | re.DOTALL)
_HEADER = re.compile(r"\A\s*---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^<!-- hf_cifar: .*header ([0-9a-f]{12}), text ([0-9a-f]{12}).*-->$", re.MULTILINE)
_NO_MARK = "0" * 12
# Keys whose lists a person adds to.
_LISTS = ("tags", "datasets", "metrics")
_KINDS = {"lp-ft", "fine-tuned", "linear-probe"}


def mark(header: str = _NO_MARK, text: str = _NO_MARK) -> str:
    """The line of a card by which it is known later whether a person has edited what was written."""
    return (
        "<!-- hf_cifar: what stands between the two marks is written anew with each push; text before and after them, "
        f"and keys added to the header, are kept. header {header}, text {text} -->"
    )


def sealed(card: str) -> str:
    """A card whose `mark` says what its header and its block are, before anybody edits them."""
    header, block = _HEADER.match(card), _BLOCK.search(card)
    if header is None or block is None:
        raise ValueError("the card has no header, or no marked block")
    return card.replace(mark(), mark(_digest(header[1]), _digest(_unmarked(block[1]))), 1)


def merge_card(existing: str, fresh: str) -> str:
    """A fresh card laid over the README that is there.

    A README that is as it was written, is replaced whole. Of one that a person edited, everything is kept but

    - the marked block, which becomes the fresh one. Edits inside of it are lost then, unless the fresh block says just
      what the old one said when it was written: then it stays as edited;
    - in the header the keys of the fresh card. Keys that it does not have stay, and so do what was added to `tags`,
      `datasets` and `metrics`, and a license, unless the fresh one was asked for.

    Where the marks were removed, the text is left alone and the header alone is refreshed.

    Args:
        existing: the README that is there.
        fresh: a card of `render_card`.

    Returns:
        The merged README; `existing` itself where there is nothing new.

    Raises:
        InputError: the header of `existing` cannot be read.
    """
    existing = existing.removeprefix("\ufeff").replace("\r\n", "\n")
    old_header, new_header = _HEADER.match(existing), _HEADER.match(fresh)
    assert new_header is not None
    old_text = existing[old_header.end() :] if old_header else existing
    seals = _MARK.search(existing)
    touched = old_header is None or seals is None or seals[1] != _digest(old_header[1])
    if not touched:
        header = new_header[1]
    else:
        before = _parsed(old_header[1]) if old_header else {}
        after = _merged(before, _parsed(new_header[1]))
        header = old_header[1] if old_header and after == before else yaml_dump(after, sort_keys=False)
    return f"---\n{header}---\n{_merged_text(old_text, fresh[new_header.end() :])}"


def edited_inside(existing: str) -> bool:
    """Whether a person has edited the text between the marks."""
    existing = existing.replace("\r\n", "\n")
    block, seals = _BLOCK.search(existing), _MARK.search(existing)
    return block is not None and (seals is None or seals[2] != _digest(_unmarked(block[1])))


def _merged_text(old: str, new: str) -> str:
    old_block, new_block = _BLOCK.search(old), _BLOCK.search(new)
    assert new_block is not None
    if not old.strip():
        return new
    if old_block is None:
        return old
    was, now = _MARK.search(old_block[0]), _MARK.search(new_block[0])
    if was and now and was[2] == now[2]:
        # Nothing new to say: what a person wrote there stays.
        return old.replace(was[0], now[0])
    return old[: old_block.start()] + new_block[0] + old[old_block.end() :]


def _merged(before: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    after = {**fresh, **{key: value for key, value in before.items() if key not in fresh}}
    for key in _LISTS:
        if key in fresh and key in before:
            old = before[key] if isinstance(before[key], list) else [before[key]]
            stale = _KINDS if key == "tags" else set()
            after[key] = fresh[key] + [item for item in old if item not in fresh[key] and item not in stale]
    asked_for = fresh.get("license") != known_license(fresh.get("base_model") or BUNDLED)
    if before.get("license") and not asked_for:
        after["license"] = before["license"]
    return after


def _parsed(header: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(header) or {}
    except yaml.YAMLError as error:
        raise InputError(
            f"the header of the README that is there is not valid YAML ({' '.join(str(error).split())[:200]}): "
            "mend it, or remove the file to have it written anew"
        ) from error
    if not isinstance(values, dict):
        raise InputError("the header of the README that is there holds no keys and values: mend it, or remove the file")
    return values


def _unmarked(block: str) -> str:
    return _MARK.sub("", block)


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:12]
