"""The model, the robot's signals and the prior, as one distribution for each boundary. Pure.

    log p(t) = sum over sources of weight * log((1 - floor) p_source(t) + floor / T)  + order

Log-linear pooling (Genest & Zidek, 1986) on the frames of the clip. A weight below 1 flattens a
source that is too sure of itself or repeats what another says; a floor is the share of cases in
which a source is lost and knows nothing. Both were learned on held-out clips (`pool_fitting`).
The order of the boundaries is kept exactly by passing messages along it. docs/fusion.md says more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kairoscope.calibration import Calibration
from kairoscope.fusion.order import Boundary, frames_needed, in_order
from kairoscope.posteriors import CONFIDENT_WITHIN_S
from kairoscope.prior_distribution import widths_s

Floats = NDArray[np.float64]
Evidence = Mapping[str, Mapping[str, Floats]]
"""Source (`model`, `signals`, `prior`) -> slot (`start 1`, `end 1`, …) -> (T,) probabilities of the
clip's frames. A source that is missing, for a slot or altogether, is simply not there."""
INTERVAL = (0.1, 0.9)
"""Quantiles of the reported interval: the boundary lies inside with probability 0.8."""
EXACT_S = 1e-6
FLAT = 1e-6
"""A distribution that varies by less than this share is flat."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How much a source is believed."""

    weight: float = 1.0
    """Above 0."""
    floor: float = 0.01
    """0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How one combination of sources is put together."""

    trust: Mapping[str, Trust]
    """One for each source of the combination."""
    calibration: Calibration = field(default_factory=Calibration)
    """From the fused distribution's own confidence to how often it was right."""

    def __post_init__(self) -> None:
        for source, trust in self.trust.items():
            if not (trust.weight > 0 and 0 < trust.floor < 1):
                raise ValueError(f"{source}: weights are above 0, floors between 0 and 1: {trust}")


NOTHING = Mix(trust={})


@dataclass(frozen=True, slots=True)
class Pool:
    """How sources are combined; see `pool_fitting.fit_pool`.

    Every combination has a mix of its own: what the prior adds is worth less beside a model that
    has learned the same from its clips than on its own.
    """

    mixes: Mapping[frozenset[str], Mix]

    def mix(self, sources: Iterable[str]) -> Mix:
        """The mix of these sources. Raises ValueError where the pool has none."""
        key = frozenset(sources)
        if not key:
            return NOTHING
        if key not in self.mixes:
            known = sorted(" + ".join(sorted(names)) for names in self.mixes)
            raise ValueError(f"no mix of {' + '.join(sorted(key))}; known: {', '.join(known)}")
        return self.mixes[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one source alone says about a boundary."""

    time_s: float
    """Its median."""
    confidence: float
    """Its own probability that the boundary is within 0.25 s of that."""
    influence: float
    """How much of the fused distribution is elsewhere without this source, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """What is known about one boundary in the end."""

    slot: str
    probabilities_T: Floats
    frame: int
    time_s: float
    """The median, on a frame."""
    interval_s: tuple[float, float]
    """The boundary lies inside with probability 0.8."""
    confidence: float
    """Probability that the boundary is within 0.25 s of `time_s`, 0 to 1, calibrated."""
    expected_error_s: float
    """Mean distance from `time_s` under the distribution: what to review first."""
    said: Mapping[str, Said] = field(default_factory=lambda: MappingProxyType({}))


def on_frames(choices_s: ArrayLike, probabilities: ArrayLike, times_s: ArrayLike) -> Floats:
    """A distribution over the frames that a model saw -> (T,) over all frames of the clip.

    Each of them stands for the time up to half way to its neighbours (see `posteriors`), in which
    all of the clip's frames are equally likely, by the time that they stand for.
    """
    seen, masses = np.asarray(choices_s, np.float64), np.asarray(probabilities, np.float64)
    times = np.asarray(times_s, np.float64)
    # Every frame belongs to the nearest of those seen; one between two of them to the earlier.
    owner = np.searchsorted((seen[1:] + seen[:-1]) / 2, times, side="left")
    widths = widths_s(times)
    total = np.bincount(owner, widths, minlength=len(seen))
    spread = masses[owner] * widths / total[owner]
    # Frames that the model saw beyond the last of the clip, or between two of it, own none.
    for k in np.flatnonzero((total == 0) & (masses > 0)):
        spread[int(np.argmin(np.abs(times - seen[k])))] += masses[k]
    return np.asarray(spread / spread.sum())


def fuse(
    times_s: ArrayLike, boundaries: Sequence[Boundary], evidence: Evidence, pool: Pool
) -> tuple[Fused, ...]:
    """Combine what the sources say about the boundaries of one clip.

    Args:
        times_s: (T,) times of its frames, ascending.
        boundaries: from `ends_in_turn` or `starts_and_ends`.
        evidence: what there is, on these frames.
        pool: how much each source is believed.

    Returns:
        One for each boundary, in that order. Medians and both ends of the intervals never go back
        where the boundaries must not. With no source at all, only order is known.

    Raises:
        ValueError: fewer frames than the gaps need, sources that the pool has no mix of, or
            probabilities that are no distribution over the frames.
    """
    times = np.asarray(times_s, dtype=np.float64)
    _check(times, boundaries, evidence)
    fused_BT = marginals(times, boundaries, evidence, pool)
    alone = {
        source: marginals(
            times, boundaries, {s: e for s, e in evidence.items() if s != source}, pool
        )
        for source in evidence
    }
    return tuple(
        _fused(
            times,
            boundary.slot,
            fused_BT[i],
            pool.mix(speaking(evidence, boundary.slot)).calibration,
            {
                source: _said(times, slots[boundary.slot], fused_BT[i], alone[source][i])
                for source, slots in evidence.items()
                if boundary.slot in slots
            },
        )
        for i, boundary in enumerate(boundaries)
    )


def _check(times: Floats, boundaries: Sequence[Boundary], evidence: Evidence) -> None:
    if frames_needed(boundaries) > len(times):
        raise ValueError(f"{len(times)} frames are too few for {len(boundaries)} boundaries")
    for source, slots in evidence.items():
        for slot, p in slots.items():
            if np.shape(p) != times.shape or not (np.all(p >= 0) and abs(np.sum(p) - 1) < 1e-3):
                raise ValueError(f"{source}, {slot}: not a distribution over {len(times)} frames")


def marginals(
    times: Floats, boundaries: Sequence[Boundary], evidence: Evidence, pool: Pool
) -> Floats:
    """(B, T) fused distributions of the boundaries, each summing to 1; order kept exactly."""
    pooled_BT = np.zeros((len(boundaries), len(times)))
    for i, boundary in enumerate(boundaries):
        own = speaking(evidence, boundary.slot)
        if own:
            pooled_BT[i] = pooled_log(own, pool.mix(own))
    return in_order(pooled_BT, boundaries)


def speaking(evidence: Evidence, slot: str) -> dict[str, Floats]:
    """The distributions of the sources that have anything to say about a boundary.

    A flat one has not: it counts as missing, not as a source that the others must make room for.
    """
    own = {source: np.asarray(slots[slot]) for source, slots in evidence.items() if slot in slots}
    return {source: p for source, p in own.items() if float(np.ptp(p)) > FLAT * float(p.max())}


def pooled_log(own: Mapping[str, Floats], mix: Mix) -> Floats:
    """(T,) log of the pooled distribution of one boundary, up to a constant.

    Args:
        own: (T,) distributions, one for each source of the mix.
        mix: of exactly these sources.
    """
    terms = [
        trust.weight * np.log((1 - trust.floor) * own[source] + trust.floor / len(own[source]))
        for source, trust in sorted(mix.trust.items())
    ]
    return np.asarray(np.sum(terms, axis=0))


def quantile_frame(probabilities_T: Floats, share: float) -> int:
    """The first frame up to which at least `share` (0 to 1) of the probability lies."""
    sums = np.cumsum(probabilities_T)
    return min(int(np.searchsorted(sums, share * sums[-1] - 1e-12)), len(sums) - 1)


def within(times: Floats, probabilities_T: Floats, moment_s: float) -> float:
    """Probability of the frames within 0.25 s of a moment."""
    near = np.abs(times - moment_s) <= CONFIDENT_WITHIN_S + EXACT_S
    return min(1.0, float(probabilities_T[near].sum()))


def expected_error_s(
    times: Floats, probabilities_T: Floats, moment_s: float, usual_s: float | None = None
) -> float:
    """Mean distance of the boundary from a moment under its distribution, in s.

    Args:
        times: (T,) of the frames.
        probabilities_T: of the boundary.
        moment_s: where it was put.
        usual_s: what boundaries of its kind that are right are off by, in the place of what the
            distribution says about its own 0.25 s: there it is no judge of itself.
    """
    off_T = np.abs(times - moment_s)
    if usual_s is None:
        return float(probabilities_T @ off_T)
    far = off_T > CONFIDENT_WITHIN_S + EXACT_S
    return float(probabilities_T[far] @ off_T[far] + (1 - probabilities_T[far].sum()) * usual_s)


def _said(times: Floats, own_T: Floats, fused_T: Floats, without_T: Floats) -> Said:
    time_s = float(times[quantile_frame(own_T, 0.5)])
    return Said(
        time_s=time_s,
        confidence=within(times, own_T, time_s),
        influence=min(1.0, float(np.abs(fused_T - without_T).sum()) / 2),
    )


def _fused(
    times: Floats,
    slot: str,
    fused_T: Floats,
    calibration: Calibration,
    said: Mapping[str, Said],
) -> Fused:
    frame = quantile_frame(fused_T, 0.5)
    time_s = float(times[frame])
    low, high = (float(times[quantile_frame(fused_T, share)]) for share in INTERVAL)
    return Fused(
        slot=slot,
        probabilities_T=fused_T,
        frame=frame,
        time_s=time_s,
        interval_s=(low, high),
        confidence=calibration(within(times, fused_T, time_s)),
        expected_error_s=expected_error_s(times, fused_T, time_s),
        said=MappingProxyType(dict(said)),
    )
