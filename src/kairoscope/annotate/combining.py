"""One boundary an event, from its label, the signals, the model and the other demonstrations. Pure.

A label is kept as it is. Everything else is fused into one distribution for each event, in order
(`kairoscope.fusion`); the signals' own moment places it where nothing speaks against it, and the
median of the distribution where signals do not decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kairoscope.annotate.usual_error import usual_error_s
from kairoscope.annotate.videos import LOW_CONFIDENCE
from kairoscope.events import Query
from kairoscope.fusion import Fused, Pool, ends_by_arm, expected_error_s, fuse, speaking, within
from kairoscope.robot.columns import Floats

Source = Literal["label", "signals", "model", "prior"]
DISAGREE = 0.1
"""Signals and model contradict each other where the model gives the signals' moment less than this."""
WITHIN_S = 0.5
EQUAL = 0.02
"""Probabilities that differ by less are as good as each other."""


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
    doubt_s: float | None
    """How far it is expected to be off, in s: what to look at first; None for a label."""
    reasons: tuple[str, ...]
    """What each source said."""
    flags: tuple[str, ...] = ()


def combine(
    query: Query,
    times_s: Floats,
    evidence: Sequence[Sequence[Evidence]],
    pool: Pool,
    arms: Sequence[str] = (),
) -> tuple[Boundary, ...]:
    """Place the end of every event.

    Args:
        query: event names, in order.
        times_s: (T,) of the frames, at least one.
        evidence: for each event, what its sources say, the most trusted first.
        pool: how much each source is believed.
        arms: which arm does each event; empty: one does them all. Events of two arms may end in
            any order.
    """
    arms = arms or ("",) * len(query)
    if len(times_s) <= len(query):
        return tuple(
            _unplaced(name, own, ("the episode has fewer frames than events",))
            for name, own in zip(query, evidence, strict=True)
        )
    labels = _labels(evidence, arms)
    fused = fuse(times_s, ends_by_arm(arms), _told(evidence, labels), pool)
    frames: list[int | None] = [label.frame if label else None for label in labels]
    boundaries = []
    for place, (name, own) in enumerate(zip(query, evidence, strict=True)):
        chosen = labels[place] or _placed(
            own, fused[place], times_s, *_between(frames, place, len(times_s), arms)
        )
        if chosen is None or chosen.frame is None:
            frames[place] = None
            boundaries.append(_unplaced(name, own))
            continue
        frames[place] = chosen.frame
        boundaries.append(_boundary(name, times_s, chosen, fused[place], own, pool))
    return tuple(boundaries)


def _labels(evidence: Sequence[Sequence[Evidence]], arms: Sequence[str]) -> list[Evidence | None]:
    """The label of each event, where it has one that comes after those before it on its arm."""
    labels: list[Evidence | None] = []
    latest: dict[str, int] = {}
    for own, arm in zip(evidence, arms, strict=True):
        label = _by(own, "label")
        if label is None or label.frame is None or label.frame <= latest.get(arm, -1):
            labels.append(None)
        else:
            latest[arm] = label.frame
            labels.append(label)
    return labels


def _told(
    evidence: Sequence[Sequence[Evidence]], labels: Sequence[Evidence | None]
) -> dict[str, dict[str, Floats]]:
    """What the sources say, for `fuse`. A label stands in the signals' place, and beside nothing."""
    told: dict[str, dict[str, Floats]] = {}
    for place, (own, label) in enumerate(zip(evidence, labels, strict=True), 1):
        if label is not None:
            told.setdefault("signals", {})[f"end {place}"] = label.probabilities_T
            continue
        for one in own:
            if one.source != "label":
                told.setdefault(one.source, {})[f"end {place}"] = one.probabilities_T
    return told


def _by(evidence: Sequence[Evidence], source: Source) -> Evidence | None:
    return next((one for one in evidence if one.source == source), None)


def _between(
    frames: Sequence[int | None], place: int, num_frames: int, arms: Sequence[str]
) -> tuple[int, int]:
    """First and last frame that those of its arm which are placed already leave for an event."""
    own = [frame if arm == arms[place] else None for frame, arm in zip(frames, arms, strict=True)]
    before = [frame for frame in own[:place] if frame is not None]
    after = [frame for frame in own[place + 1 :] if frame is not None]
    return max(before, default=-1) + 1, min(after, default=num_frames) - 1


def _placed(
    evidence: Sequence[Evidence], fused: Fused, times_s: Floats, first: int, last: int
) -> Evidence | None:
    """What places an event, with the frame; None where no source says anything of its own.

    The signals' own moment rather than the fused median, where as much speaks for it: a median may
    lie between two moments, where nothing happens.
    """
    signals = _by(evidence, "signals")
    deciding = [one for one in evidence if one.source in ("model", "prior")]
    if signals is not None and signals.frame is not None:
        deciding.insert(0, signals)
    if not deciding or first > last:
        return None
    frame = min(max(fused.frame, first), last)
    if signals is not None and signals.frame is not None and first <= signals.frame <= last:
        near = _mass(fused, times_s, float(times_s[signals.frame]))
        if near >= _mass(fused, times_s, fused.time_s) - EQUAL:
            return signals
    # Of those that speak, the one without which the boundary would be elsewhere most.
    source = max(deciding, key=lambda one: fused.said[one.source].influence)
    return replace(source, frame=frame)


def _mass(fused: Fused, times_s: Floats, moment_s: float) -> float:
    return within(times_s, fused.probabilities_T, moment_s)


def _unplaced(name: str, evidence: Sequence[Evidence], why: tuple[str, ...] = ()) -> Boundary:
    said = tuple(f"{one.source}: {one.reason}" for one in evidence)
    return Boundary(
        event=name,
        frame=None,
        end_s=None,
        source=None,
        confidence=None,
        interval_s=None,
        doubt_s=None,
        reasons=(*why, *said) or ("nothing is known about it",),
    )


def _boundary(
    name: str,
    times_s: Floats,
    chosen: Evidence,
    fused: Fused,
    evidence: Sequence[Evidence],
    pool: Pool,
) -> Boundary:
    assert chosen.frame is not None
    end_s = float(times_s[chosen.frame])
    is_label = chosen.source == "label"
    sure = doubt_s = 0.0
    if not is_label:
        told: dict[str, dict[str, Floats]] = {
            one.source: {fused.slot: one.probabilities_T}
            for one in evidence
            if one.source != "label"
        }
        sources = speaking(told, fused.slot)
        sure = pool.mix(sources).calibration(_mass(fused, times_s, end_s))
        usual_s = usual_error_s(name)
        doubt_s = expected_error_s(times_s, fused.probabilities_T, end_s, usual_s)
    low_s, high_s = fused.interval_s
    return Boundary(
        event=name,
        frame=chosen.frame,
        end_s=end_s,
        source=chosen.source,
        confidence=None if is_label else sure,
        interval_s=None if is_label else (min(low_s, end_s), max(high_s, end_s)),
        doubt_s=None if is_label else doubt_s,
        reasons=tuple(f"{one.source}: {one.reason}" for one in evidence),
        flags=() if is_label else _flags(chosen, chosen.frame, sure, times_s, evidence),
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
        if {chosen.source, other.source} == {"signals", "model"}:
            share = float(other.probabilities_T[near].sum())
            if (other.source == "model" or other.frame is not None) and share < DISAGREE:
                flags.append("signals and model disagree")
    return tuple(flags)
