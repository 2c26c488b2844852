"""Read JSON files that others may have written."""

import json
from pathlib import Path
from typing import Any

from hf_cifar.errors import InputError


def read_object(file: Path, name: str) -> dict[str, Any]:
    """Return the keys and values in a JSON file.

    Args:
        file: that is there.
        name: of it, for messages.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{name} cannot be read ({' '.join(str(error).split())[:150]})") from error
    if not isinstance(values, dict):
        raise InputError(f"{name} does not hold keys and values")
    return values
