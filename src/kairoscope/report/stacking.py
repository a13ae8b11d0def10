"""Which intervals of a timeline lie below others, so that none hides another. Pure."""

from collections.abc import Sequence

TOUCHING_S = 1e-3
"""Intervals that share so little lie beside each other; one without length takes a little more."""


def stacked(spans: Sequence[tuple[float, float]]) -> list[int]:
    """For each (start s, end s) the row that it is drawn in: the first that is free from its start on.

    0 for all of them where no two overlap. No drawing needs fewer rows: a new one is begun only where
    as many intervals share a moment.
    """
    rows = [0] * len(spans)
    free_from_s: list[float] = []
    for place in sorted(range(len(spans)), key=lambda i: (spans[i], i)):
        start_s, end_s = spans[place]
        free = (row for row, at_s in enumerate(free_from_s) if at_s <= start_s + TOUCHING_S)
        row = next(free, len(free_from_s))
        if row == len(free_from_s):
            free_from_s.append(end_s)
        free_from_s[row] = max(end_s, start_s + 2 * TOUCHING_S)
        rows[place] = row
    return rows
