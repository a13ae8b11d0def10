"""Which labels an episode gets: those it has, or those that are offered. Nothing is written here.

Labels that a person made, or that nobody is known to have made, stay; labels that Kairoscope wrote
make room for new ones.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kairoscope.events import LABEL_ROUNDING_S, Event, Events, starts_s
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.lerobot.dataset import LeRobotDataset, episode_id
from kairoscope.robot.lerobot.labels import Frames, LabelledBy, Labels, to_frames

Outcome = Literal["written", "kept", "protected", "unlabelled", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What becomes of an episode."""

    index: int
    outcome: Outcome
    reason: str = ""
    """Of a problem."""
    events: Events = ()
    frames: Frames = ()
    num_frames: int = 0
    """0 where the episode cannot be read."""
    labelled_by: LabelledBy = "unknown"
    as_it_is: bool = False
    """Labels of the source itself: what it holds of them is not written again."""
    replaced: Frames | None = None
    """Labels of Kairoscope's that make room."""
    has_sarm: bool = False
    """Whether SARM's columns are to hold these labels, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Labels that the caller wants to be written."""

    boundaries: Mapping[str, Sequence[Event]]
    labelled_by: Literal["human", "kairoscope"]
    prefix: Literal["dense", "sparse"]
    overwrite: bool


def choose(source: LeRobotDataset, copy: LeRobotDataset | None, index: int, offer: Offer) -> Choice:
    """What becomes of an episode.

    Args:
        source: the dataset that is copied, or labelled in place.
        copy: what an earlier run made of it, where there is one.
        index: of the episode.
        offer: what the caller wants.
    """
    name = episode_id(index)
    try:
        labels, edges_s = source.labels(name)
    except UnreadableEpisode as error:
        return Choice(index=index, outcome="problem", reason=str(error))
    existing, is_source = _existing(labels, _of_copy(copy, name), edges_s)
    frames = to_frames(existing.events, edges_s)
    num_frames = len(edges_s) - 1
    offered = tuple(offer.boundaries.get(name, ()))
    fault = offered_fault(offered, float(edges_s[-1]))
    new = () if fault else to_frames(offered, edges_s)
    takes_new = bool(new) and (
        not existing.events or existing.labelled_by == "kairoscope" or offer.overwrite
    )
    if takes_new and existing.form == "language":
        takes_new = False
        fault = "its labels lie in language_persistent, which is not rewritten: kept"
    if takes_new and not (new == frames and existing.labelled_by == offer.labelled_by):
        is_ours = bool(existing.events) and existing.labelled_by != "unknown"
        return Choice(
            index=index,
            outcome="written",
            events=_within(offered, float(edges_s[-1])),
            frames=new,
            num_frames=num_frames,
            labelled_by=offer.labelled_by,
            replaced=frames if is_ours else None,
            has_sarm=True,
        )
    outcome: Outcome = "kept" if existing.events else "unlabelled"
    if fault:
        outcome = "problem"
    elif new and new != frames:
        outcome = "protected"
    elif new and existing.labelled_by == offer.labelled_by:
        outcome = "written"
    return Choice(
        index=index,
        outcome=outcome,
        reason=fault or "",
        events=existing.events,
        frames=frames,
        num_frames=num_frames,
        labelled_by=existing.labelled_by,
        as_it_is=is_source,
        has_sarm=existing.form in (offer.prefix, "language", "subtask_index")
        or (existing.form, offer.prefix) == ("legacy", "sparse"),
    )


def _of_copy(copy: LeRobotDataset | None, name: str) -> Labels:
    try:
        return Labels() if copy is None else copy.labels(name)[0]
    except UnreadableEpisode:
        return Labels()  # the copy is made again from the source


def _existing(source: Labels, copy: Labels, edges_s: NDArray[np.float64]) -> tuple[Labels, bool]:
    """The labels that count, and whether they are the source's own.

    Of the copy and the source, in this order, the first that Kairoscope did not make, else the
    first that has any.
    """
    found = [labels for labels in (copy, source) if labels.events]
    found.sort(key=lambda labels: labels.labelled_by == "kairoscope")  # stable
    if not found:
        return Labels(), False
    is_source = to_frames(found[0].events, edges_s) == to_frames(source.events, edges_s)
    return found[0], is_source


def offered_fault(events: Sequence[Event], duration_s: float) -> str | None:
    """Why events cannot be labels of an episode of this length, in words; None where they can."""
    last_s = 0.0
    for event, start_s in zip(events, starts_s(events), strict=True):
        if not event.name.strip():
            return "an event has no name"
        if not (math.isfinite(start_s) and math.isfinite(event.end_s)):
            return f"{event.name!r} runs from {start_s} to {event.end_s} s"
        if not 0 <= start_s <= event.end_s or event.end_s < last_s:
            return (
                f"{event.name!r} runs from {start_s:g} to {event.end_s:g} s; events start at 0 or "
                f"later, do not end before they start, and end in order (the last at {last_s:g} s)"
            )
        if event.end_s > duration_s + LABEL_ROUNDING_S:
            return f"{event.name!r} ends at {event.end_s:g} s, the episode at {duration_s:.2f} s"
        last_s = event.end_s
    return None


def _within(events: Events, duration_s: float) -> Events:
    """Events with their starts, cut to the episode's length."""
    return tuple(
        Event(event.name, min(start_s, duration_s), min(event.end_s, duration_s))
        for event, start_s in zip(events, starts_s(events), strict=True)
    )


def names_in_order(choices: Sequence[Choice]) -> list[str]:
    """Every event's name once, in the order in which they come in the episodes on average."""
    shares: dict[str, list[float]] = {}
    for choice in choices:
        for name, _, end in choice.frames:
            shares.setdefault(name, []).append(end / choice.num_frames)
    return sorted(shares, key=lambda name: sum(shares[name]) / len(shares[name]))
