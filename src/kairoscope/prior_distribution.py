"""When the boundaries of a new demonstration are to be expected: a distribution for each. Pure.

k labelled demonstrations of a task say where a boundary lies on average and how much it varies. How
much a few of them can be trusted about the spread was learned once, from other tasks: their
spread counts as much as `weight` further demonstrations. With k = 1 nothing but that is known,
with many it no longer matters. Without any, the order of the events and the duration remain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kairoscope.events import LABEL_ROUNDING_S, Event, Query, aligned
from kairoscope.prior import Demonstration

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How demonstrations of one task differ, whatever the task."""

    share: float
    """Standard deviation of the last boundary, as a share of its time."""
    growth: float
    """An earlier boundary's deviation is smaller by (its time / the last one's) to this power."""
    weight: float
    """How many demonstrations' worth this knowledge is."""
    follows_duration: float
    """0: boundaries stay at the same second in longer clips; 1: at the same share of the clip."""
    evenness: float
    """Without demonstrations: how alike the events' lengths are (each one's concentration in a
    Dirichlet distribution over the clip)."""
    tail: float
    """The same of what comes after the last event."""


DEFAULT_SPREAD = Spread(
    share=0.1081, growth=0.49, weight=3.0955, follows_duration=0.9647, evenness=4.2761, tail=2.1129
)
"""Learned by `python -m benchmarks.prior_curve --fit`; docs/fusion.md says on what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePrior:
    """Distribution of one boundary's time before anything of the clip itself is seen."""

    slot: str
    """`start 1`, `end 1`, `start 2`, … as in a model's answer."""
    num_examples: int
    location_s: float = 0.0
    """With examples: a Student t distribution with this centre, this scale, this freedom."""
    scale_s: float = 1.0
    freedom: float = 1.0
    before: float = 1.0
    """Without: a Beta distribution of the share of the clip, with what comes before the boundary
    and what comes after it as its parameters."""
    after: float = 1.0

    def probabilities(self, times_s: Floats) -> Floats:
        """(T,) probability of each frame of a clip with these ascending times; sums to 1.

        Never 0: the tails are heavy, and what a clip shows can always say otherwise.
        """
        times_s = np.asarray(times_s, dtype=np.float64)
        if self.num_examples:
            z = (times_s - self.location_s) / self.scale_s
            log_density = -(self.freedom + 1) / 2 * np.log1p(z**2 / self.freedom)
        else:
            step_s = (times_s[-1] - times_s[0]) / max(1, len(times_s) - 1) or 1.0
            shares = (times_s - times_s[0] + step_s / 2) / (times_s[-1] - times_s[0] + step_s)
            log_density = (self.before - 1) * np.log(shares) + (self.after - 1) * np.log1p(-shares)
        masses = np.exp(log_density - log_density.max()) * widths_s(times_s)
        return np.asarray(masses / masses.sum())


def widths_s(times_s: Floats) -> Floats:
    """(T,) how much time each frame stands for, in s: from half way to its neighbours."""
    if len(times_s) < 2:
        return np.ones(len(times_s))
    borders = np.concatenate([times_s[:1], (times_s[1:] + times_s[:-1]) / 2, times_s[-1:]])
    inner = np.diff(borders)
    inner[0], inner[-1] = 2 * inner[0], 2 * inner[-1]
    return np.maximum(inner, 1e-9)


def time_priors(
    query: Query,
    demonstrations: Sequence[Demonstration] = (),
    duration_s: float | None = None,
    spread: Spread = DEFAULT_SPREAD,
) -> dict[str, TimePrior]:
    """What k labelled demonstrations say about every boundary of another one.

    Args:
        query: names of its events, in order.
        demonstrations: labelled ones of the same task; those with another number of events are
            left out. Their order does not matter.
        duration_s: of the clip in question, where known. Times are then moved with the
            duration of those demonstrations that have one.
        spread: what is known about demonstrations in general.

    Returns:
        By slot, ends of all events and starts. An end that no demonstration has gets the
        distribution of k = 0; a start that none has is left out if there are any.
    """
    alike = [demo for demo in demonstrations if len(demo.query) == len(query)]
    rows = [aligned(demo.gold, demo.query) for demo in alike]
    factors = [_factor(demo, duration_s, spread) for demo in alike]
    last_s = _last_s(rows, factors)
    priors: dict[str, TimePrior] = {}
    for place in range(len(query)):
        for what in ("start", "end"):
            slot = f"{what} {place + 1}"
            seen = [
                time_s * factor
                for row, factor in zip(rows, factors, strict=True)
                if (time_s := _time_s(row[place], what)) is not None
            ]
            if seen:
                priors[slot] = _student(slot, np.array(sorted(seen)), last_s, spread)
            elif what == "end" or not alike:
                priors[slot] = _by_order(slot, place + (what == "end"), len(query), spread)
    return priors


def _factor(demo: Demonstration, duration_s: float | None, spread: Spread) -> float:
    """What times of a demonstration are multiplied with in a clip of another duration."""
    if not duration_s or not demo.duration_s:
        return 1.0
    return 1.0 + spread.follows_duration * (duration_s / demo.duration_s - 1.0)


def _time_s(event: Event | None, what: str) -> float | None:
    if event is None:
        return None
    return event.start_s if what == "start" else event.end_s


def _last_s(rows: Sequence[Sequence[Event | None]], factors: Sequence[float]) -> float:
    """Mean time of the last boundary of the demonstrations."""
    ends = [
        max(event.end_s for event in row if event is not None) * factor
        for row, factor in zip(rows, factors, strict=True)
        if any(event is not None for event in row)
    ]
    return float(np.mean(sorted(ends))) if ends else 0.0


def _student(slot: str, seen_s: Floats, last_s: float, spread: Spread) -> TimePrior:
    """The predictive distribution of a normal whose variance has an inverse gamma prior.

    With flat knowledge of the mean (Murphy, Conjugate Bayesian analysis of the Gaussian, 2007).
    """
    count, mean_s = len(seen_s), float(np.mean(seen_s))
    earlier = min(1.0, max(mean_s, 0.0) / last_s) if last_s > 0 else 0.0
    expected_s = max(LABEL_ROUNDING_S, spread.share * last_s * earlier**spread.growth)
    freedom = spread.weight + count - 1
    squares = spread.weight * expected_s**2 + float(((seen_s - mean_s) ** 2).sum())
    return TimePrior(
        slot=slot,
        num_examples=count,
        location_s=mean_s,
        scale_s=float(np.sqrt(squares / freedom * (1 + 1 / count))),
        freedom=freedom,
    )


def _by_order(slot: str, num_before: int, num_events: int, spread: Spread) -> TimePrior:
    """Where a boundary lies that ends `num_before` events, as a share of the clip."""
    after = (num_events - num_before) * spread.evenness + spread.tail
    return TimePrior(
        slot=slot,
        num_examples=0,
        # The first start has nothing before it: likeliest at once, less and less so later.
        before=num_before * spread.evenness if num_before else 1.0,
        after=after if num_before else max(1.0, after),
    )
