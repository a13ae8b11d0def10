"""How far repeats of one judgement agree. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = 1, 5


def krippendorff_alpha(repeats: Sequence[Sequence[int | None]]) -> float | None:
    """Krippendorff's alpha for ordinal scores (Krippendorff, 2011, "Computing Krippendorff's
    Alpha-Reliability"): 1 is perfect agreement, 0 what chance gives.

    Args:
        repeats: a row for each thing judged, its scores from 1 to 5; None for one that failed.

    Returns None where nothing was judged twice, or all scores are the same: agreement on one value
    says nothing.
    """
    together = np.zeros((HIGHEST, HIGHEST))
    for row in repeats:
        given = [score - LOWEST for score in row if score is not None]
        if len(given) < 2:
            continue
        counts = np.bincount(given, minlength=HIGHEST).astype(float)
        pairs = np.outer(counts, counts) - np.diag(counts)
        together += pairs / (len(given) - 1)
    totals = together.sum(axis=1)
    num_values = totals.sum()
    if num_values < 2 or (totals > 0).sum() < 2:
        return None
    distance = _ordinal_distance(totals)
    observed = (together * distance).sum()
    expected = (np.outer(totals, totals) - np.diag(totals)) * distance
    return float(1 - (num_values - 1) * observed / expected.sum())


def mean_step(repeats: Sequence[Sequence[int | None]]) -> float | None:
    """How far two repeats of one judgement lie apart in the mean; None where nothing was judged twice.

    Beside alpha, which is low where nearly all scores are the same, however rarely repeats differ.
    """
    steps = []
    for row in repeats:
        given = [score for score in row if score is not None]
        pairs = [abs(a - b) for place, a in enumerate(given) for b in given[place + 1 :]]
        if pairs:
            steps.append(sum(pairs) / len(pairs))
    return sum(steps) / len(steps) if steps else None


def _ordinal_distance(totals_C: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared number of scores between two, those at both ends counted half."""
    upto = totals_C.cumsum()
    middle = upto - totals_C / 2
    return np.asarray((middle[:, None] - middle[None, :]) ** 2)
