"""What can be known without looking: the times of other demonstrations of the same task. Pure.

Demonstrations of one task resemble each other, so the median of the others is a strong guess. A
model that does not beat it has not shown that it sees anything.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from kairoscope.events import Event, Events, Query, aligned

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
    """The median time of every event over demonstrations that ask for as many events.

    With `duration_s`, medians of shares of the durations, times `duration_s`. An event that no
    demonstration has is left out; one whose start no demonstration knows has none.
    """
    relative = duration_s is not None
    alike = [demo for demo in demonstrations if len(demo.query) == len(query)]
    pool = _Pool(len(query), alike, relative=relative)
    return pool.without(query, None, duration_s or 1.0)


def leave_one_out(
    demonstrations: Sequence[Demonstration], kind: PriorKind = "absolute"
) -> dict[str, Events | None]:
    """For every demonstration, the median of the others of its scenario, by id.

    Those with as many events are compared, place by place: within a scenario the names may tell
    other objects apart (the red cube, the blue cube) without changing what happens when.
    Demonstrations of its own group count as itself. None where no other is left, or, for a
    relative prior, where its own duration is not known. O(n log n) in the demonstrations.
    """
    relative = kind == "relative"
    alike: dict[tuple[str, int], list[Demonstration]] = defaultdict(list)
    for demo in demonstrations:
        alike[demo.scenario, len(demo.query)].append(demo)
    priors: dict[str, Events | None] = {}
    for demos in alike.values():
        pool = _Pool(len(demos[0].query), demos, relative=relative)
        for demo in demos:
            scale = _unit(demo, relative=relative)
            events = pool.without(demo.query, demo.group, scale) if scale else ()
            priors[demo.id] = events or None
    return priors


def _unit(demo: Demonstration, *, relative: bool) -> float:
    """What the times of a demonstration are divided by; 0 where it cannot take part."""
    if not relative:
        return 1.0
    last_s = max((event.end_s for event in demo.gold), default=0.0)
    return max(demo.duration_s, last_s) if demo.duration_s else 0.0


class _Pool:
    """All known times of demonstrations, place by place, to be asked without one group's."""

    def __init__(
        self, num_events: int, demonstrations: Sequence[Demonstration], *, relative: bool
    ) -> None:
        starts: list[list[tuple[float, str]]] = [[] for _ in range(num_events)]
        ends: list[list[tuple[float, str]]] = [[] for _ in range(num_events)]
        for demo in demonstrations:
            unit = _unit(demo, relative=relative)
            for place, event in enumerate(aligned(demo.gold, demo.query)):
                if event is None or not unit:
                    continue
                ends[place].append((event.end_s / unit, demo.group))
                if event.start_s is not None:
                    starts[place].append((event.start_s / unit, demo.group))
        self._starts = [_Column(values) for values in starts]
        self._ends = [_Column(values) for values in ends]

    def without(self, query: Query, group: str | None, scale: float) -> Events:
        """The medians of the other groups, times `scale`, under the names of `query`."""
        events: list[Event] = []
        for place, name in enumerate(query):
            end = self._ends[place].median_without(group)
            start = self._starts[place].median_without(group)
            if end is None:
                continue
            # Ends of demonstrations without a start can pull the end before the others' start.
            start_s = None if start is None else min(start, end) * scale
            events.append(Event(name, start_s, end * scale, place + 1))
        return tuple(events)


class _Column:
    """Times of one boundary in ascending order, and where each group's stand."""

    def __init__(self, values: Sequence[tuple[float, str]]) -> None:
        ordered = sorted(values)
        self._values = [value for value, _ in ordered]
        self._places: dict[str | None, list[int]] = defaultdict(list)
        for place, (_, group) in enumerate(ordered):
            self._places[group].append(place)

    def median_without(self, group: str | None) -> float | None:
        """Median of the values of all other groups; None where there is none."""
        left_out = self._places.get(group, [])
        count = len(self._values) - len(left_out)
        if count == 0:
            return None
        middle = {(count - 1) // 2, count // 2}
        return fmean(self._values[_rank(rank, left_out)] for rank in middle)


def _rank(rank: int, left_out: Sequence[int]) -> int:
    """Where the value stands that has this rank once the places left out (ascending) are gone."""
    for place in left_out:
        if place > rank:
            break
        rank += 1
    return rank
