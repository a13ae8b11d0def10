"""Subtask termination signals: what MimicGen and Isaac Lab read as the end of a subtask.

A signal is 0 until its subtask is done and 1 from that frame on. Both systems look for the frame at
which it changes and let the subtask end one frame later, as an exclusive index; they differ in
where they look, in the type that they can subtract and in the place in the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.events import Event, Events
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.hdf5 import LabelledBy, attribute, damage_named, rows
from kairoscope.robot.legality import TaskSpec

MADE_BY = "kairoscope_labelled_by"
"""Attribute of a signal: `human` or `kairoscope`. MimicGen and Isaac Lab read no attributes."""


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


def signals_of(
    group: Any, place: SignalPlace, num_frames: int, where: str
) -> dict[str, NDArray[np.float64]]:
    """Every signal of a demonstration, (T,) each. Raises UnreadableEpisode for one that is none."""
    with damage_named(where):
        folder = group.get(place.group)
        if folder is not None and not isinstance(folder, h5py.Group):
            raise UnreadableEpisode(f"{where}/{place.group}: must be a group of signals")
        names = list(folder or ())
    found = {}
    for name in names:
        values = rows(group, f"{place.group}/{name}", num_frames, where)
        if values.shape[1] != 1:
            raise UnreadableEpisode(
                f"{where}/{place.group}/{name}: must be one value a frame, has {values.shape[1]}"
            )
        found[name] = values[:, 0]
    return found


def label_ends(
    signals: Mapping[str, NDArray[np.float64]], place: SignalPlace, spec: TaskSpec | None
) -> dict[str, int | None]:
    """Where each signal says that its subtask ends, in order; None for one that never changes.

    The order is the spec's where it names just these signals, else that of the first changes.
    """
    first = {n: change_end(s, 0, rises_only=place.after_previous) for n, s in signals.items()}
    if spec is None or set(spec.signals) != set(signals):
        return dict(sorted(first.items(), key=lambda item: (item[1] is None, item[1] or 0)))
    if not place.after_previous:
        return {name: first[name] for name in spec.signals}
    ends: dict[str, int | None] = {}
    previous = 0
    for name in spec.signals:
        ends[name] = change_end(signals[name], previous, rises_only=True)
        previous = ends[name] or previous
    return ends


def labels(
    group: Any, place: SignalPlace, spec: TaskSpec | None, num_frames: int, fps: float, where: str
) -> tuple[tuple[Events, LabelledBy], list[str]]:
    """The events that a demonstration is labelled with, who made them, and what is odd.

    An event ends at the time of the first frame on which its subtask is done.
    """
    ends = label_ends(signals_of(group, place, num_frames, where), place, spec)
    events = tuple(
        Event(name=name, start_s=None, end_s=(end - 1) / fps)
        for name, end in ends.items()
        if end is not None
    )
    notes = [f"signal {name!r} never changes" for name, end in ends.items() if end is None]
    makers = {made_by(group, place, event.name) for event in events}
    if "human" in makers:
        return (events, "human"), notes
    return (events, "kairoscope" if makers == {"kairoscope"} else "unknown"), notes


def made_by(group: Any, place: SignalPlace, signal: str) -> LabelledBy:
    """Who made a signal, as it says itself; `unknown` where it says nothing."""
    value = attribute(group[place.group][signal], MADE_BY)
    return "human" if value == "human" else "kairoscope" if value == "kairoscope" else "unknown"


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
