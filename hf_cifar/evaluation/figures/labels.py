"""Placement of labels beside a plot."""

from collections.abc import Sequence


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move ascending positions as little as possible, in squared distance, so that neighbours are `gap` apart.

    Args:
        positions: ascending.
        gap: the minimum distance.

    Returns:
        One for each, ascending; positions that are too close are moved as a group around their mean.
    """
    # Groups of (first position, size), merged while they overlap.
    groups: list[tuple[float, int]] = []
    for position in positions:
        start, size = position, 1
        while groups and start < groups[-1][0] + groups[-1][1] * gap:
            before, count = groups.pop()
            start = (before * count + (start - count * gap) * size) / (count + size)
            size += count
        groups.append((start, size))
    return [start + offset * gap for start, size in groups for offset in range(size)]
