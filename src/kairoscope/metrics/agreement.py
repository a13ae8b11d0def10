"""How far given scores and true ones agree, over many answers at once. Pure.

Every function takes weights of shape (draws, answers): one row of ones gives the figure itself, a row
of counts the figure of a resample in which answers come that often. So a bootstrap over groups is one
call, and a figure of repeated answers is the figure of the list in which they are repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray

    Floats = NDArray[float64]

NO_VARIATION = 0.0
"""Correlation and kappa of answers that are all alike: they say nothing about the truth."""


def weighted_mean(values_N: Floats, weights_DN: Floats) -> Floats:
    """Mean of the values, one a draw; NaN where a draw has no weight."""
    import numpy as np

    totals = weights_DN.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(weights_DN @ values_N / totals, dtype=np.float64)


def pearson(given_N: Floats, true_N: Floats, weights_DN: Floats) -> Floats:
    """Pearson's correlation, -1 to 1 (draws,).

    0 where the given values are all alike, NaN where the true ones are: nothing could be told.
    """
    import numpy as np

    total = weights_DN.sum(axis=1)
    x, y = given_N - given_N.mean(), true_N - true_N.mean()
    sums = weights_DN @ np.stack([x, y, x * x, y * y, x * y], axis=1)
    return _correlation(sums, total)


def _correlation(sums_D5: Floats, total_D: Floats) -> Floats:
    """From the weighted sums of x, y, xx, yy and xy."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        x, y, xx, yy, xy = sums_D5.T / total_D
        spread_x, spread_y = xx - x * x, yy - y * y
        found = (xy - x * y) / np.sqrt(spread_x * spread_y)
    tiny = 1e-12
    found = np.where(spread_x <= tiny, NO_VARIATION, found)
    return np.clip(np.where(spread_y <= tiny, np.nan, found), -1.0, 1.0)


def spearman(given_N: Floats, true_N: Floats, weights_DN: Floats) -> Floats:
    """Spearman's correlation: Pearson's of the ranks, those of equal values averaged (draws,)."""
    import numpy as np

    total = weights_DN.sum(axis=1)
    x, y = (_ranks(values, weights_DN) for values in (given_N, true_N))
    parts = (x, y, x * x, y * y, x * y)
    sums = np.stack([(weights_DN * part).sum(axis=1) for part in parts], axis=1)
    return _correlation(sums, total)


def _ranks(values_N: Floats, weights_DN: Floats) -> Floats:
    """Mid-rank of every value in every draw, centred and as a share of the total (draws, N)."""
    import numpy as np

    distinct, place_N = np.unique(values_N, return_inverse=True)
    members = np.zeros((len(values_N), len(distinct)))
    members[np.arange(len(values_N)), place_N] = 1.0
    mass = weights_DN @ members
    middle = mass.cumsum(axis=1) - mass / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        share = middle / mass.sum(axis=1, keepdims=True) - 0.5
    return np.asarray(share[:, place_N], dtype=np.float64)


def confusion(given_N: Floats, true_N: Floats, weights_DN: Floats, classes: int) -> Floats:
    """Weights of (true, given) pairs of whole scores from 1 to `classes` (draws, classes, classes)."""
    import numpy as np

    cell_N = (true_N.astype(int) - 1) * classes + given_N.astype(int) - 1
    members = np.zeros((len(given_N), classes * classes))
    members[np.arange(len(given_N)), cell_N] = 1.0
    return np.asarray(weights_DN @ members, dtype=np.float64).reshape(-1, classes, classes)


def quadratic_kappa(confusion_DCC: Floats) -> Floats:
    """Cohen's kappa with quadratic weights (Cohen, 1968), -1 to 1 (draws,).

    0 where the given scores are all alike, NaN where the true ones are.
    """
    import numpy as np

    classes = confusion_DCC.shape[1]
    steps = np.arange(classes)
    cost_CC = (steps[:, None] - steps[None, :]) ** 2 / (classes - 1) ** 2
    true_DC, given_DC = confusion_DCC.sum(axis=2), confusion_DCC.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        chance_DCC = true_DC[:, :, None] * given_DC[:, None, :] / true_DC.sum(axis=1)[:, None, None]
        by_chance = (cost_CC * chance_DCC).sum(axis=(1, 2))
        found = 1 - (cost_CC * confusion_DCC).sum(axis=(1, 2)) / by_chance
    found = np.where((given_DC > 0).sum(axis=1) < 2, NO_VARIATION, found)
    return np.where((true_DC > 0).sum(axis=1) < 2, np.nan, found)


def detection(
    given_N: NDArray[bool_], true_N: NDArray[bool_], weights_DN: Floats
) -> dict[str, Floats]:
    """Precision, recall and F1 of a yes-or-no answer (draws,) each; NaN where there is none to count.

    Precision has nothing to count where nothing is called true, recall where nothing is; F1 where both.
    """
    import numpy as np

    hits = weights_DN @ (given_N & true_N).astype(np.float64)
    called = weights_DN @ given_N.astype(np.float64)
    there = weights_DN @ true_N.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "precision": hits / called,
            "recall": hits / there,
            "f1": 2 * hits / (called + there),
        }
