"""Sizes of caches, as they are written on the command line."""

import re

from hf_cifar.errors import InputError

AUTO, OFF = "auto", "off"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", re.IGNORECASE)


def bytes_of(setting: str) -> int | None:
    """Return the bytes that a setting allows: None for `auto`, 0 for `off`, otherwise those of a size such as 500MB.

    Raises:
        InputError: it is none of these.
    """
    if setting == AUTO:
        return None
    if setting == OFF:
        return 0
    found = _SIZE.fullmatch(setting.strip())
    unit = found[2].upper() if found else ""
    unit = unit if unit in _UNITS else f"{unit}B"
    if found is None:
        raise InputError(f"--image-cache is {setting!r}: give auto, off, or a size such as 500MB or 8GB")
    return round(float(found[1]) * _UNITS[unit])
