"""From the distribution over frame times to a moment, an interval and a confidence. Pure.

The model spreads its probability over the frames it saw. A boundary that lies between two of
them is given to the nearer one, so each frame stands for the time up to half way to its
neighbours, and within that cell all moments are equally likely.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

CONFIDENT_WITHIN_S = 0.25
"""A boundary's confidence is the probability that it is this near to the reported moment."""


def _cells(times_s: Sequence[float]) -> list[float]:
    """Borders of the cells of the frames: one more than frames, in s."""
    middles = [(a + b) / 2 for a, b in pairwise(times_s)]
    return [times_s[0], *middles, times_s[-1]]


def mass_before(times_s: Sequence[float], probabilities: Sequence[float], moment_s: float) -> float:
    """Probability that the boundary lies before a moment, 0 to 1."""
    borders = _cells(times_s)
    if moment_s <= borders[0]:
        return 0.0
    if moment_s >= borders[-1]:
        return 1.0
    k = bisect_right(borders, moment_s) - 1
    width = borders[k + 1] - borders[k]
    share = (moment_s - borders[k]) / width if width > 0 else 1.0
    return sum(probabilities[:k]) + share * probabilities[k]


def quantile_s(times_s: Sequence[float], probabilities: Sequence[float], share: float) -> float:
    """The moment in s before which `share` (0 to 1) of the probability lies.

    Args:
        times_s: frame times, rising.
        probabilities: one for each frame, summing to one.
        share: 0.5 for the median.
    """
    borders = _cells(times_s)
    before = 0.0
    for k, after in enumerate(accumulate(probabilities)):
        if after >= share - 1e-12:
            # Rounding may leave the share a little outside of a cell that holds next to nothing.
            part = min(1.0, (share - before) / (after - before)) if after > before else 0.0
            return borders[k] + part * (borders[k + 1] - borders[k])
        before = after
    return times_s[-1]


def confidence(times_s: Sequence[float], probabilities: Sequence[float], moment_s: float) -> float:
    """Probability that the boundary is within 0.25 s of a moment, 0 to 1."""
    late = mass_before(times_s, probabilities, moment_s + CONFIDENT_WITHIN_S)
    early = mass_before(times_s, probabilities, moment_s - CONFIDENT_WITHIN_S)
    return min(1.0, max(0.0, late - early))
