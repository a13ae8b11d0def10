"""Subtask termination signals: what MimicGen and Isaac Lab read as the end of a subtask.

A signal is 0 until its subtask is done and 1 from that frame on. Both systems look for the frame at
which it changes and let the subtask end one frame later, as an exclusive index; they differ in
where they look, in the type that they can subtract and in the place in the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.events import Event, Events
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.hdf5 import Demonstration, attribute, damage_named
from kairoscope.robot.legality import TaskSpec

LabelledBy = Literal["human", "kairoscope", "unknown"]
MADE_BY = "kairoscope_labelled_by"
"""Attribute of a signal: `human` or `kairoscope`. MimicGen and Isaac Lab read no attributes."""
CONFIDENCE = "kairoscope_confidence"
"""Attribute of a signal that Kairoscope made: the probability, from 0 to 1, that the end is within
0.25 s of the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPlace:
    """Where a format keeps its signals and how its reader takes them."""

    group: str
    """Inside a demonstration."""
    dtype: type
    """As its own tools write them."""
    may_be_bool: bool
    """MimicGen subtracts neighbours, which numpy refuses for bool; Isaac Lab converts first."""
    after_previous: bool
    """Whether the reader skips changes before the end of the previous subtask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A signal as it lies in a file."""

    values_T: NDArray[np.float64]
    is_bool: bool
    made_by: LabelledBy
    confidence: float | None = None
    """As it is written beside a signal that Kairoscope made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Events that a demonstration is labelled with, who made them, and what is odd about them."""

    events: Events
    labelled_by: LabelledBy
    notes: tuple[str, ...]


def change_end(signal_T: NDArray[np.float64], not_before: int, *, rises_only: bool) -> int | None:
    """One more than the first frame, from `not_before` on, whose value is not the one before it.

    Args:
        signal_T: (T,) values of a signal.
        not_before: first frame that counts.
        rises_only: leave changes from 1 to 0 out.
    """
    steps = np.diff(signal_T)
    changed = np.flatnonzero(steps > 0 if rises_only else steps) + 1
    changed = changed[changed >= not_before]
    return int(changed[0]) + 1 if changed.size else None


def signal_T(end: int, num_frames: int, dtype: type) -> NDArray[Any]:
    """The signal that both readers take for `end`: (T,), 1 from frame `end - 1` on."""
    return (np.arange(num_frames) >= end - 1).astype(dtype)


def signals_of(demo: Demonstration, place: SignalPlace) -> dict[str, Signal]:
    """Every signal of a demonstration. Raises UnreadableEpisode for what is none."""
    if demo.has(place.group):
        raise UnreadableEpisode(f"{demo.where}/{place.group}: must be a group of signals")
    found = {}
    for name in demo.names(place.group):
        path = f"{place.group}/{name}"
        values = demo.values(path)
        if values.shape[1] != 1:
            raise UnreadableEpisode(
                f"{demo.where}/{path}: must be one value a frame, has {values.shape[1]}"
            )
        dataset = demo.find(path)
        with damage_named(f"{demo.where}/{path}"):
            said, sure = attribute(dataset, MADE_BY), dataset.attrs.get(CONFIDENCE)
        maker: LabelledBy = (
            "human" if said == "human" else "kairoscope" if said == "kairoscope" else "unknown"
        )
        found[name] = Signal(
            values_T=values[:, 0],
            is_bool=dataset.dtype == np.bool_,
            made_by=maker,
            confidence=float(sure) if isinstance(sure, float | np.floating) else None,
        )
    return found


def label_ends(
    signals: Mapping[str, Signal], place: SignalPlace, spec: TaskSpec | None
) -> dict[str, int | None]:
    """Where each signal says that its subtask ends, in order; None for one that never changes.

    The order is the spec's where it names just these signals, else that of the first changes.
    """
    first = {
        name: change_end(signal.values_T, 0, rises_only=place.after_previous)
        for name, signal in signals.items()
    }
    if spec is None or set(spec.signals) != set(signals):
        return dict(sorted(first.items(), key=lambda item: (item[1] is None, item[1] or 0)))
    if not place.after_previous:
        return {name: first[name] for name in spec.signals}
    ends: dict[str, int | None] = {}
    previous = 0
    for name in spec.signals:
        ends[name] = change_end(signals[name].values_T, previous, rises_only=True)
        previous = ends[name] or previous
    return ends


def labels(demo: Demonstration, place: SignalPlace, spec: TaskSpec | None, fps: float) -> Labels:
    """How a demonstration is labelled. Raises UnreadableEpisode for signals that are none.

    An event ends at the time of the first frame on which its subtask is done.
    """
    signals = signals_of(demo, place)
    ends = label_ends(signals, place, spec)
    events = tuple(
        Event(name=name, start_s=None, end_s=(end - 1) / fps)
        for name, end in ends.items()
        if end is not None
    )
    makers = {signals[event.name].made_by for event in events}
    labelled_by: LabelledBy = "kairoscope" if makers == {"kairoscope"} else "unknown"
    return Labels(
        events=events,
        labelled_by="human" if "human" in makers else labelled_by,
        notes=tuple(f"signal {name!r} never changes" for name, end in ends.items() if end is None),
    )


def ends_from_events(
    events: Sequence[Event], times_s: NDArray[np.float64], names: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Events -> exclusive ends by signal, from the nearest frame to the end of each event.

    Args:
        events: found or corrected, each at most once.
        times_s: (T,) times of the frames.
        names: event name -> signal name; None: they are the same. Events outside are left out.

    Raises UserError where two events have the same signal.
    """
    ends: dict[str, int] = {}
    for event in events:
        signal = event.name if names is None else names.get(event.name)
        if signal is None:
            continue
        if signal in ends:
            raise UserError(f"two events end the signal {signal!r}")
        ends[signal] = int(np.abs(times_s - event.end_s).argmin()) + 1
    return ends
