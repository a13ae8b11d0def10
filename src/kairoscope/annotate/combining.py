"""One boundary an event, from its label, the signals, the model and the other demonstrations. Pure.

Each source gives a distribution over the frames of the episode. The first of them that decides an
event places it: a label, the signals, the model, the prior. Boundaries stay in order: a source that
would place an event before another that is surer is read between its neighbours only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kairoscope.annotate.videos import INTERVAL, LOW_CONFIDENCE
from kairoscope.events import Query
from kairoscope.posteriors import confidence, quantile_s
from kairoscope.robot.columns import Floats

Source = Literal["label", "signals", "model", "prior"]
DISAGREE = 0.1
"""Signals and model contradict each other where the model gives the signals' moment less than this."""
WITHIN_S = 0.5
LEAST_MASS = 1e-6
"""A source that leaves less than this between an event's neighbours does not place it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one source says about the end of one event."""

    source: Source
    probabilities_T: Floats
    """(T,) of the event ending at each frame; sums to 1."""
    reason: str
    """In words."""
    frame: int | None = None
    """What it chose; None: it does not decide (signals), or its median counts (model, prior)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The end of one event."""

    event: str
    frame: int | None
    """The first frame on which the event is done; None where nothing places it."""
    end_s: float | None
    source: Source | None
    """What placed it."""
    confidence: float | None
    """Probability that it is within 0.25 s of the truth; None for a label."""
    interval_s: tuple[float, float] | None
    """The end lies inside with probability 0.8."""
    reasons: tuple[str, ...]
    """What each source said."""
    flags: tuple[str, ...] = ()


def combine(
    query: Query, times_s: Floats, evidence: Sequence[Sequence[Evidence]]
) -> tuple[Boundary, ...]:
    """Place the end of every event.

    Args:
        query: event names, in order.
        times_s: (T,) of the frames, at least one.
        evidence: for each event, what its sources say, the most trusted first.
    """
    chosen: list[Evidence | None] = [None] * len(query)
    frames: list[int | None] = [None] * len(query)
    for source in ("label", "signals", "model", "prior"):
        for place in range(len(query)):
            said = next((one for one in evidence[place] if one.source == source), None)
            if said is None or frames[place] is not None:
                continue
            frame = _placed(said, times_s, *_between(frames, place, len(times_s)))
            if frame is not None:
                chosen[place], frames[place] = said, frame
    return tuple(
        _boundary(name, times_s, chosen[i], frames[i], evidence[i]) for i, name in enumerate(query)
    )


def _between(frames: Sequence[int | None], place: int, num_frames: int) -> tuple[int, int]:
    """First and last frame that are left for an event by those that are placed already."""
    before = [frame for frame in frames[:place] if frame is not None]
    after = [frame for frame in frames[place + 1 :] if frame is not None]
    return max(before, default=-1) + 1, min(after, default=num_frames) - 1


def _placed(said: Evidence, times_s: Floats, first: int, last: int) -> int | None:
    """The frame that a source gives between two others; None where it gives none there."""
    if first > last:
        return None
    if said.source in ("label", "signals"):
        inside = said.frame is not None and first <= said.frame <= last
        return said.frame if inside else None
    mass = said.probabilities_T[first : last + 1]
    if said.frame is not None and first <= said.frame <= last:
        return said.frame
    if float(mass.sum()) < LEAST_MASS:
        return None
    inside_s = times_s[first : last + 1].tolist()
    median_s = quantile_s(inside_s, (mass / mass.sum()).tolist(), 0.5)
    return first + int(np.abs(times_s[first : last + 1] - median_s).argmin())


def _boundary(
    name: str,
    times_s: Floats,
    chosen: Evidence | None,
    frame: int | None,
    evidence: Sequence[Evidence],
) -> Boundary:
    reasons = tuple(f"{one.source}: {one.reason}" for one in evidence)
    if chosen is None or frame is None:
        return Boundary(
            event=name,
            frame=None,
            end_s=None,
            source=None,
            confidence=None,
            interval_s=None,
            reasons=reasons or ("nothing is known about it",),
        )
    end_s = float(times_s[frame])
    if chosen.source == "label":
        return Boundary(
            event=name,
            frame=frame,
            end_s=end_s,
            source="label",
            confidence=None,
            interval_s=None,
            reasons=reasons,
        )
    grid, shares = times_s.tolist(), chosen.probabilities_T.tolist()
    sure = confidence(grid, shares, end_s)
    low, high = (quantile_s(grid, shares, share) for share in INTERVAL)
    return Boundary(
        event=name,
        frame=frame,
        end_s=end_s,
        source=chosen.source,
        confidence=sure,
        interval_s=(low, high),
        reasons=reasons,
        flags=_flags(chosen, frame, sure, times_s, evidence),
    )


def _flags(
    chosen: Evidence, frame: int, sure: float, times_s: Floats, evidence: Sequence[Evidence]
) -> tuple[str, ...]:
    """Reasons for a person to look."""
    flags = []
    if sure < LOW_CONFIDENCE:
        flags.append("low confidence")
    if chosen.source == "prior":
        flags.append("from other demonstrations alone")
    if frame == len(times_s) - 1:
        flags.append("ends with the clip")
    near = np.abs(times_s - times_s[frame]) <= WITHIN_S
    for other in evidence:
        if {chosen.source, other.source} == {"signals", "model"} and other is not chosen:
            share = float(other.probabilities_T[near].sum())
            if (other.source == "model" or other.frame is not None) and share < DISAGREE:
                flags.append("signals and model disagree")
    return tuple(flags)
