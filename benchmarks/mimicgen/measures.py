"""Rates with their intervals, ratios of paired rates, and how far boundaries are off. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Ends = Mapping[str, tuple[int, ...]]
"""Demonstration -> exclusive end of each subtask that has a signal, in frames."""
Z = 1.959964
"""Of a 95 % interval."""


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
    low, high = _score(successes, attempts, Z)
    return Estimate(successes / attempts, max(0.0, low), min(1.0, high))


def paired_ratio(ours: Sequence[bool], true: Sequence[bool]) -> Estimate | None:
    """Success rate with our boundaries over that with the true ones, of attempts with equal seeds.

    The interval is Bonett and Price's (2006) of Wilson's kind for paired proportions: what makes a
    scene easy or hard cancels out, and where all attempts agree it is as wide as their number
    leaves it, unlike a bootstrap's. None where the true boundaries never succeed.

    Raises ValueError where there are not as many of one as of the other.
    """
    pairs = list(zip(ours, true, strict=True))
    above, below = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    if not below:
        return None
    either, differ = sum(a or b for a, b in pairs), sum(a != b for a, b in pairs)
    spread = math.sqrt((differ + 2) / ((above + 1) * (below + 1)))
    alone = [math.sqrt((1 - (x + 1) / (either + 2)) / (x + 1)) for x in (above, below)]
    z = Z * spread / sum(alone)
    (low, high), (low_true, high_true) = (_score(x, either, z) for x in (above, below))
    return Estimate(above / below, low / high_true, high / low_true)


def _score(successes: int, attempts: int, z: float) -> tuple[float, float]:
    """Wilson's interval at a standard normal quantile of its own."""
    middle = 2 * successes + z * z
    half = z * math.sqrt(z * z + 4 * successes * (1 - successes / attempts))
    return (middle - half) / (2 * (attempts + z * z)), (middle + half) / (2 * (attempts + z * z))


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
