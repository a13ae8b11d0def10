"""The scale of whole scores from 1 to 5, which answers, metrics, data and recipes share. Pure."""

from collections.abc import Sequence

from kairoscope.core import Posterior

LOWEST, HIGHEST = 1, 5
SCORES = tuple(range(LOWEST, HIGHEST + 1))
SLOT = "score"
"""Name of the slot that holds the score."""
GOOD_FROM = 4
"""A clip of this score or above counts as good in precision, recall and F1."""


def farthest_score(gold: int) -> int:
    """The score that misses the truth by most; of two equally far, the lower."""
    return LOWEST if gold - LOWEST >= HIGHEST - gold else HIGHEST


def expected_score(posteriors: Sequence[Posterior]) -> float | None:
    """Mean of the distribution over the score tokens, 1.0 to 5.0; None where there is none."""
    for posterior in posteriors:
        if posterior.slot == SLOT:
            pairs = zip(posterior.choices, posterior.probabilities, strict=True)
            return sum(float(choice) * share for choice, share in pairs)
    return None
