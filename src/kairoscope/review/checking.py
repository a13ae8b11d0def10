"""What is wrong with boundaries that a person has set, in words. Pure.

Some of it stops them from being saved: no label file could hold it. The rest is said, and saved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kairoscope.core import UserError
from kairoscope.robot.legality import violations
from kairoscope.robot.naming import SignalPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One event as it was set; None where it is not in the clip."""

    start: int
    """Frame at which it begins."""
    end: int
    """First frame on which it is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong."""

    text: str
    events: tuple[int, ...]
    """Places of the events that it is about."""
    stops: bool
    """Whether it stops saving."""

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {"text": self.text, "events": list(self.events), "stops": self.stops}


def placed_from_json(items: Any, num_events: int, num_frames: int) -> tuple[Placed | None, ...]:
    """What the page sends: `{"start": 3, "end": 40}` or null for each event.

    Raises UserError that says what is allowed.
    """
    if not isinstance(items, list) or len(items) != num_events:
        raise UserError(f"events: allowed: a list of {num_events}, null where one is not there")
    return tuple(None if item is None else _placed(item, num_frames) for item in items)


def _placed(item: Any, num_frames: int) -> Placed:
    frames = [item.get("start"), item.get("end")] if isinstance(item, Mapping) else [None]
    if not all(type(frame) is int and 0 <= frame < num_frames for frame in frames):
        raise UserError(f"an event is {item!r}; allowed: frames from 0 to {num_frames - 1}")
    return Placed(start=int(item["start"]), end=int(item["end"]))


def faults(
    query: Sequence[str],
    placed: Sequence[Placed | None],
    num_frames: int,
    plan: SignalPlan | None = None,
    arms: Sequence[str] = (),
) -> tuple[Fault, ...]:
    """Everything that is wrong, what stops saving first.

    Args:
        query: event names in order.
        placed: of each, where it is.
        num_frames: of the clip.
        plan: signals of an HDF5 file, whose generation is to start from the boundaries.
        arms: which arm does each event; empty: one does them all. Two arms need no order.
    """
    there = [(place, one) for place, one in enumerate(placed) if one is not None]
    found = [] if there else [Fault(text="no event is placed", events=(), stops=True)]
    for place, one in there:
        if one.start > one.end:
            text = f"{query[place]!r} starts at frame {one.start}, after its end at {one.end}"
            found.append(Fault(text=text, events=(place,), stops=True))
        elif one.end == 0:
            text = f"{query[place]!r} ends with the first frame, where nothing can have happened"
            found.append(Fault(text=text, events=(place,), stops=True))
    found += _disorder(query, there, arms or ("",) * len(query))
    for place in (place for place, one in enumerate(placed) if one is None):
        text = f"{query[place]!r} is not placed: kept as not in this clip"
        found.append(Fault(text=text, events=(place,), stops=False))
    if not any(fault.stops for fault in found):
        found += _not_legal(query, placed, num_frames, plan)
    return tuple(sorted(found, key=lambda fault: not fault.stops))


def _disorder(
    query: Sequence[str], there: Sequence[tuple[int, Placed]], arms: Sequence[str]
) -> list[Fault]:
    """Ends that are not in the order of the task, arm by arm, and events that overlap."""
    found = []
    for arm in dict.fromkeys(arms):
        for (before, first), (after, second) in pairwise(o for o in there if arms[o[0]] == arm):
            pair = (before, after)
            if second.end <= first.end:
                text = (
                    f"{query[after]!r} ends at frame {second.end}, not after {query[before]!r} at "
                    f"{first.end}: events end in their order"
                )
                found.append(Fault(text=text, events=pair, stops=True))
            elif second.start < first.end:
                text = f"{query[after]!r} starts before {query[before]!r} ends"
                found.append(Fault(text=text, events=pair, stops=False))
    in_time = sorted(there, key=lambda one: one[1].end)
    for (before, first), (after, second) in pairwise(in_time):
        if first.end == second.end and arms[before] != arms[after]:
            text = f"{query[before]!r} and {query[after]!r} end at the same frame: labels keep an order"
            found.append(Fault(text=text, events=(before, after), stops=True))
    return found


def _not_legal(
    query: Sequence[str],
    placed: Sequence[Placed | None],
    num_frames: int,
    plan: SignalPlan | None,
) -> list[Fault]:
    if plan is None:
        return []
    found = []
    places = {plan.signals[name]: i for i, name in enumerate(query) if name in plan.signals}
    for spec in plan.specs:
        own = [places[signal] for signal in spec.signals]
        ends = [one.end + 1 for place in own if (one := placed[place]) is not None]
        if len(ends) == len(own):
            for text in violations(ends, spec, num_frames):
                words = f"generation cannot start from this: {text}"
                found.append(Fault(text=words, events=tuple(own), stops=False))
    return found
