"""Merge a new card into a README that a person may have edited."""

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
_MARKER = re.compile(r"^<!-- hf_cifar: .*header ([0-9a-f]{12}), text ([0-9a-f]{12}).*-->$", re.MULTILINE)
_NO_DIGEST = "0" * 12
# Keys whose lists a person adds to.
_LISTS = ("tags", "datasets", "metrics")
_KINDS = {"lp-ft", "fine-tuned", "linear-probe"}


def marker(header: str = _NO_DIGEST, text: str = _NO_DIGEST) -> str:
    """Return the line of a card with the digests by which later edits are recognized."""
    return (
        "<!-- hf_cifar: the text between the begin and end markers is replaced on every push; other text and added "
        f"header keys are kept. header {header}, text {text} -->"
    )


def sealed(card: str) -> str:
    """Return a new card with the digests of its header and of its block in its `marker`."""
    header, block = _HEADER.match(card), _BLOCK.search(card)
    if header is None or block is None:
        raise ValueError("the card has no header, or no marked block")
    return card.replace(marker(), marker(_digest(header[1]), _digest(_unmarked(block[1]))), 1)


def merge_card(existing: str, fresh: str) -> str:
    """Merge a fresh card into an existing README.

    An unedited card is replaced. Of an edited one everything is kept except

    - the marked block, which is replaced; edits inside of it are lost, unless the fresh block is the same as the old
      one was before the edits;
    - the header keys of the fresh card. Other keys stay, and so do items added to `tags`, `datasets` and `metrics`,
      and a license, unless another one was asked for.

    Where the markers were removed, only the header is updated.

    Args:
        existing: the README.
        fresh: a card of `render_card`.

    Returns:
        The merged README; `existing` itself where nothing is new.

    Raises:
        InputError: the header of `existing` cannot be read.
    """
    existing = existing.removeprefix("\ufeff").replace("\r\n", "\n")
    old_header, new_header = _HEADER.match(existing), _HEADER.match(fresh)
    assert new_header is not None
    old_text = existing[old_header.end() :] if old_header else existing
    digests = _MARKER.search(existing)
    if old_header is not None and digests is not None and digests[1] == _digest(old_header[1]):
        header = new_header[1]
    else:
        before = _parsed(old_header[1]) if old_header else {}
        after = _merged_header(before, _parsed(new_header[1]))
        header = old_header[1] if old_header and after == before else yaml_dump(after, sort_keys=False)
    return f"---\n{header}---\n{_merged_text(old_text, fresh[new_header.end() :])}"


def is_edited_inside(existing: str) -> bool:
    """Return whether a person has edited the text between the markers."""
    existing = existing.replace("\r\n", "\n")
    block, digests = _BLOCK.search(existing), _MARKER.search(existing)
    return block is not None and (digests is None or digests[2] != _digest(_unmarked(block[1])))


def _merged_text(old: str, new: str) -> str:
    old_block, new_block = _BLOCK.search(old), _BLOCK.search(new)
    assert new_block is not None
    if not old.strip():
        return new
    if old_block is None:
        return old
    before, after = _MARKER.search(old_block[0]), _MARKER.search(new_block[0])
    if before and after and before[2] == after[2]:
        # Nothing new to say: what a person wrote there stays.
        return old.replace(before[0], after[0])
    return old[: old_block.start()] + new_block[0] + old[old_block.end() :]


def _merged_header(before: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
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
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the header of the existing README is not valid YAML ({reason}): fix or remove it") from error
    if not isinstance(values, dict):
        raise InputError("the header of the existing README is not a YAML mapping: fix or remove it")
    return values


def _unmarked(block: str) -> str:
    return _MARKER.sub("", block)


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:12]
