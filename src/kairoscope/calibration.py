"""Whether a confidence means what it says, how to mend it, and what to review first. Pure.

A confidence is the probability that a boundary lies within 0.25 s of the reported moment
(`posteriors.CONFIDENT_WITHIN_S`, one frame of a policy of four frames a second). Of the boundaries
with confidence 0.8, eight in ten should.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
NUM_BINS = 10
LEAST_CONFIDENCE = 1e-4
"""Nothing is surer than 1 in 10,000 either way: no calibration set can show more."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Boundaries of similar confidence."""

    count: int
    confidence: float
    """Their mean."""
    hit_share: float
    """Share of them that were within the tolerance."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence against what came of it."""

    bins: tuple[Bin, ...]
    """In order of confidence; bins without boundaries are left out."""
    error: float
    """Expected calibration error: mean |confidence - share of hits| over boundaries, by bin
    (Naeini et al., 2015), 0 to 1."""
    brier: float
    """Mean squared difference of confidence and outcome, 0 to 1."""
    count: int


def reliability(
    confidences: ArrayLike, hits: ArrayLike, num_bins: int = NUM_BINS, *, equal_counts: bool = False
) -> Reliability:
    """Compare confidences (0 to 1) with whether each boundary was within the tolerance.

    Args:
        confidences: (N,).
        hits: (N,) true or false.
        num_bins: how many bins.
        equal_counts: bins of equally many boundaries in place of equally wide ones.

    Raises:
        ValueError: lengths differ, there is none, or a confidence is not between 0 and 1.
    """
    said, came = _checked(confidences, hits)
    order = np.argsort(said, kind="stable")
    said, came = said[order], came[order]
    if equal_counts:
        places = np.arange(len(said)) * num_bins // len(said)
    else:
        places = np.minimum((said * num_bins).astype(int), num_bins - 1)
    bins = tuple(
        Bin(int(own.sum()), float(said[own].mean()), float(came[own].mean()))
        for own in (places == k for k in range(num_bins))
        if own.any()
    )
    error = sum(b.count * abs(b.confidence - b.hit_share) for b in bins) / len(said)
    return Reliability(bins, float(error), float(np.mean((said - came) ** 2)), len(said))


def _checked(confidences: ArrayLike, hits: ArrayLike) -> tuple[Floats, Floats]:
    said = np.asarray(confidences, dtype=np.float64)
    came = np.asarray(hits, dtype=np.float64)
    if said.ndim != 1 or said.shape != came.shape or not len(said):
        raise ValueError(
            f"{said.shape} confidences and {came.shape} outcomes: one each, at least 1"
        )
    if not bool(np.all((said >= 0) & (said <= 1))):
        raise ValueError("confidences must lie between 0 and 1")
    return said, came


@dataclass(frozen=True, slots=True)
class Calibration:
    """A rising curve from a stated to a true confidence: logit p -> slope * logit p + offset."""

    slope: float = 1.0
    """Above 0, so that the order never changes."""
    offset: float = 0.0

    def __call__(self, confidence: float) -> float:
        """The mended confidence, 0 to 1; as it was where there is nothing to mend."""
        if (self.slope, self.offset) == (1.0, 0.0):
            return confidence
        return float(self.all([confidence])[0])

    def all(self, confidences: ArrayLike) -> Floats:
        """(N,) of many."""
        return _sigmoid(self.slope * _logit(confidences) + self.offset)


def fit_calibration(confidences: ArrayLike, hits: ArrayLike, strength: float = 1.0) -> Calibration:
    """The curve under which held-out outcomes are likeliest (Platt, 1999), by Newton's method.

    Args:
        confidences: (N,) on data that trained nothing.
        hits: (N,) whether each boundary was within the tolerance.
        strength: pull towards leaving the confidences alone: slope and log offset are believed to
            be off by about 1 / sqrt(strength). Keeps few or unanimous outcomes from a jump.
    """
    said, came = _checked(confidences, hits)
    features = np.stack([_logit(said), np.ones(len(said))], axis=1)
    start = np.array([1.0, 0.0])
    theta = start.copy()

    def loss(at: Floats) -> float:
        z = features @ at
        fits = float(np.sum(np.logaddexp(0.0, z) - came * z))
        return fits + 0.5 * strength * float(np.sum((at - start) ** 2))

    for _ in range(100):
        p = _sigmoid(features @ theta)
        gradient = features.T @ (p - came) + strength * (theta - start)
        curvature = features.T @ (features * (p * (1 - p))[:, None]) + strength * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while loss(theta - size * step) > loss(theta) and size > 1e-6:
            size /= 2
        theta = theta - size * step
        if float(np.abs(size * step).max()) < 1e-9:
            break
    # A falling curve would mean that confidence says nothing: then all get the same one.
    return Calibration(float(max(theta[0], 1e-3)), float(theta[1]))


def _logit(p: ArrayLike) -> Floats:
    inside = np.clip(np.asarray(p, dtype=np.float64), LEAST_CONFIDENCE, 1 - LEAST_CONFIDENCE)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -z)))


def review_order(expected_errors: ArrayLike) -> tuple[int, ...]:
    """Places of boundaries (or clips), the most doubtful first; equal ones stay in order.

    Args:
        expected_errors: (N,) such as `Fused.expected_error_s`, or one minus the confidence. Those
            that are not known (NaN) come before all others.
    """
    doubts = np.asarray(expected_errors, dtype=np.float64)
    doubts = np.where(np.isnan(doubts), np.inf, doubts)
    return tuple(int(i) for i in np.argsort(-doubts, kind="stable"))


def share_found(errors_s: ArrayLike, order: Sequence[int], reviewed: float = 0.2) -> float:
    """Share of the total absolute error in what is reviewed first, 0 to 1.

    Args:
        errors_s: (N,) errors of the boundaries.
        order: all their places, first to review first.
        reviewed: how much is reviewed, 0 to 1. A random order finds that share.

    Returns:
        1 where there is no error at all.
    """
    errors = np.abs(np.asarray(errors_s, dtype=np.float64))
    if sorted(order) != list(range(len(errors))):
        raise ValueError("an order must name every place once")
    total = float(errors.sum())
    exact = reviewed * len(errors)
    whole = int(exact + 1e-9)
    ranked = errors[list(order)]
    part = (exact - whole) * float(ranked[whole]) if whole < len(errors) else 0.0
    return (float(ranked[:whole].sum()) + part) / total if total > 0 else 1.0


def best_share(errors_s: ArrayLike, reviewed: float = 0.2) -> float:
    """What an order that knew the errors would find."""
    return share_found(errors_s, review_order(np.abs(np.asarray(errors_s))), reviewed)
