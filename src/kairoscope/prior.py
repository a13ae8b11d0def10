"""What can be known without looking: the times of other demonstrations of the same task. Pure.

Demonstrations of one task resemble each other, so the median of the others is a strong guess. A
model that does not beat it has not shown that it sees anything.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from kairoscope.events import Event, Events, Query, aligned, normalised

PriorKind = Literal["absolute", "relative"]
"""`absolute`: the median of the times in s (the published baseline). `relative`: the median of
the times as shares of their clips' durations, times the duration of the clip in question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """The truth about one clip, and which clips it may be compared with."""

    id: str
    group: str
    """Clips of one group show the same recording: none of them is a prior for another."""
    scenario: str
    query: Query
    gold: Events
    duration_s: float | None = None
    """None or 0 where it is not known; such a clip has no part in a relative prior."""


def median_events(
    query: Query, demonstrations: Sequence[Demonstration], duration_s: float | None = None
) -> Events:
    """The median time of every event over demonstrations of the same query.

    With `duration_s`, medians of shares of the durations, times `duration_s`. An event that no
    demonstration has is left out; one whose start no demonstration knows has none.
    """
    places = [
        (aligned(demo.gold, query), _unit(demo, relative=duration_s is not None))
        for demo in demonstrations
    ]
    scale = 1.0 if duration_s is None else duration_s
    events: list[Event] = []
    for place, name in enumerate(query):
        seen = [(event, unit) for row, unit in places if (event := row[place]) and unit]
        if not seen:
            continue
        starts = [event.start_s / unit for event, unit in seen if event.start_s is not None]
        end_s = median(event.end_s / unit for event, unit in seen) * scale
        start_s = median(starts) * scale if starts else None
        # Ends of demonstrations without a start can pull the end before the others' start.
        start_s = None if start_s is None else min(start_s, end_s)
        events.append(Event(name, start_s, end_s, place + 1))
    return tuple(events)


def _unit(demo: Demonstration, *, relative: bool) -> float:
    """What the times of a demonstration are divided by; 0 where it cannot take part."""
    if not relative:
        return 1.0
    last_s = max((event.end_s for event in demo.gold), default=0.0)
    return max(demo.duration_s, last_s) if demo.duration_s else 0.0


def leave_one_out(
    demonstrations: Sequence[Demonstration], kind: PriorKind = "absolute"
) -> dict[str, Events | None]:
    """For every demonstration, the median of the others of its scenario and query, by id.

    Demonstrations of its own group count as itself. None where no other is left, or, for a
    relative prior, where its own duration is not known.
    """
    alike: dict[tuple[str, Query], list[Demonstration]] = defaultdict(list)
    for demo in demonstrations:
        alike[_key(demo)].append(demo)
    priors: dict[str, Events | None] = {}
    for demo in demonstrations:
        others = [other for other in alike[_key(demo)] if other.group != demo.group]
        known = kind == "absolute" or bool(demo.duration_s)
        duration_s = demo.duration_s if kind == "relative" else None
        events = median_events(demo.query, others, duration_s) if known else ()
        priors[demo.id] = events or None
    return priors


def _key(demo: Demonstration) -> tuple[str, Query]:
    return demo.scenario, tuple(normalised(name) for name in demo.query)
