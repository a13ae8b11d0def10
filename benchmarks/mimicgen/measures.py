"""Rates with their intervals, ratios of paired rates, and how far boundaries are off. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Ends = Mapping[str, tuple[int, ...]]
"""Demonstration -> exclusive end of each subtask that has a signal, in frames."""
Z = 1.959964
"""Of a 95 % interval."""
DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, attempts: int) -> Estimate:
    """A success rate with Wilson's score interval (Wilson, 1927). Raises ValueError without any."""
    if not 0 <= successes <= attempts or not attempts:
        raise ValueError(f"{successes} successes of {attempts} attempts")
    rate, z2 = successes / attempts, Z * Z
    middle = (rate + z2 / (2 * attempts)) / (1 + z2 / attempts)
    spread = rate * (1 - rate) / attempts + z2 / (4 * attempts**2)
    half = Z * float(np.sqrt(spread)) / (1 + z2 / attempts)
    return Estimate(rate, max(0.0, middle - half), min(1.0, middle + half))


def paired_ratio(ours: Sequence[bool], true: Sequence[bool]) -> Estimate | None:
    """Success rate with our boundaries over that with the true ones, of attempts with equal seeds.

    The interval is a percentile bootstrap over attempts, each drawn with its twin: what makes a
    scene easy or hard cancels out. None where the true boundaries never succeed.

    Raises ValueError where there are not as many of one as of the other.
    """
    pairs = np.array(list(zip(ours, true, strict=True)), dtype=np.float64)
    if not len(pairs) or not pairs[:, 1].any():
        return None
    rng = np.random.default_rng(0)
    sums = pairs[rng.integers(0, len(pairs), (DRAWS, len(pairs)))].sum(axis=1)
    sums = sums[sums[:, 1] > 0]
    low, high = np.quantile(sums[:, 0] / sums[:, 1], (0.025, 0.975))
    return Estimate(float(pairs[:, 0].sum() / pairs[:, 1].sum()), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Errors:
    """How far the boundaries of some demonstrations are off, over those that were found."""

    num_boundaries: int
    num_missing: int
    mean_s: float
    median_s: float
    worst_s: float
    mean_share: float
    """Of the true duration of the subtask that the boundary ends."""
    bias_s: float
    """Mean of found minus true: above 0 is late."""


def boundary_errors(found: Mapping[str, tuple[int, ...] | None], true: Ends, fps: float) -> Errors:
    """Compare ends with the true ones, demonstration by demonstration.

    Args:
        found: of each of `true`; None where there are none.
        true: ends.
        fps: frames a second.

    Raises ValueError where not one boundary was found.
    """
    offs, shares, missing = [], [], 0
    for name, ends in true.items():
        mine = found.get(name)
        if mine is None:
            missing += len(ends)
            continue
        for end, start, ours in zip(ends, (0, *ends), mine, strict=False):
            offs.append((ours - end) / fps)
            shares.append(abs(ours - end) / (end - start))
    if not offs:
        raise ValueError("no boundary to compare")
    sizes = np.abs(offs)
    return Errors(
        num_boundaries=len(offs),
        num_missing=missing,
        mean_s=float(sizes.mean()),
        median_s=float(np.median(sizes)),
        worst_s=float(sizes.max()),
        mean_share=float(np.mean(shares)),
        bias_s=float(np.mean(offs)),
    )


def shifted(ends: tuple[int, ...], share: float, rng: np.random.Generator) -> tuple[int, ...]:
    """Every end moved by a share of its subtask's duration, forward or back by the toss of a coin."""
    return tuple(
        end + int(rng.choice((-1, 1))) * round(share * (end - start))
        for end, start in zip(ends, (0, *ends), strict=False)
    )
