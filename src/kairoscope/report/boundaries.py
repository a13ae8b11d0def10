"""What a record says about each event that was asked for: truth, answer, signed error. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kairoscope.core import Record
from kairoscope.events import Event, aligned, events_from_json, gold_places, normalised, starts_s
from kairoscope.posteriors import quantile_s
from kairoscope.report.svg import printable

Span = tuple[float, float]
"""(start, end) in s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One event of a clip's query beside what one answer says about it."""

    place: int
    """From 0, in the order of the query."""
    name: str
    gold: Span | None
    answer: Span | None
    named: bool
    """The answer calls the event by its name."""

    @property
    def end_error_s(self) -> float | None:
        """Answered minus true end: below 0 is too early."""
        return None if self.gold is None or self.answer is None else self.answer[1] - self.gold[1]

    @property
    def relative_percent(self) -> float | None:
        """The end's distance in percent of the true event's length, as hits are judged."""
        if self.end_error_s is None or self.gold is None or self.gold[1] <= self.gold[0]:
            return None
        return 100 * abs(self.end_error_s) / (self.gold[1] - self.gold[0])


def event_views(record: Record) -> list[EventView]:
    """The events of a record of the subtask-times task, one for each name of its query."""
    query = tuple(str(name) for name in record.query)
    gold = _spans(gold_places(events_from_json(record.gold), query))
    given: Sequence[Event | None] = [None] * len(query)
    if record.value is not None:
        given = aligned(events_from_json(record.value), query)
    answers = _spans(given)
    return [
        EventView(
            place=place,
            name=printable(name),
            gold=gold[place],
            answer=answers[place],
            named=event is not None and normalised(event.name) == normalised(name),
        )
        for place, (name, event) in enumerate(zip(query, given, strict=True))
    ]


def _spans(events: Sequence[Event | None]) -> list[Span | None]:
    """Start and end of each; a start that was not given is the end of the event before it."""
    present = [event for event in events if event is not None]
    starts = iter(starts_s(present))
    return [None if event is None else (next(starts), event.end_s) for event in events]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likely:
    """What a model's distribution says about the time of one boundary."""

    place: int
    """Of the event, from 0."""
    is_end: bool
    low_s: float
    """The boundary lies between `low_s` and `high_s` with probability 0.8."""
    high_s: float
    peaks: tuple[tuple[float, float], ...]
    """(time in s, probability) wherever that is at least 0.01."""


_SLOT = re.compile(r"(start|end) (\d+)")


def likely_boundaries(posteriors: Iterable[Mapping[str, Any]]) -> list[Likely]:
    """The posteriors of slots called `start 1`, `end 1`, ...; others are left out."""
    found = []
    for posterior in posteriors:
        match = _SLOT.fullmatch(str(posterior["slot"]))
        if match and posterior["choices"]:
            times_s = [float(choice) for choice in posterior["choices"]]
            shares = [float(p) for p in posterior["probabilities"]]
            found.append(
                Likely(
                    place=int(match[2]) - 1,
                    is_end=match[1] == "end",
                    low_s=quantile_s(times_s, shares, 0.1),
                    high_s=quantile_s(times_s, shares, 0.9),
                    peaks=tuple((t, p) for t, p in zip(times_s, shares, strict=True) if p >= 0.01),
                )
            )
    return found
