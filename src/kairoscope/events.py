"""A timed event, and how a list of them is laid beside the list that was asked for. Pure.

Everything that handles times in words or numbers (answers, metrics, data, recipes) shares these
few definitions, so that no two of them can differ.
"""

import math
import unicodedata
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

Query = tuple[str, ...]
"""Names of the events that are asked for, in the order in which they happen."""


@dataclass(frozen=True, slots=True)
class Event:
    """A named interval, in seconds from the first frame of its clip."""

    name: str
    start_s: float | None
    """None where only the end is known, as in the benchmark's ground truth."""
    end_s: float
    number: int | None = field(default=None, compare=False)
    """Which event of the query an answer's event answers, from 1. It carries an answer with a
    wrong name to the right place, so that its times are still scored. None: go by the name."""


Events = tuple[Event, ...]


def starts_s(events: Sequence[Event]) -> tuple[float, ...]:
    """Start of each event in s; one that is not known is the end of the event before it, or 0."""
    previous_ends = (0.0, *(event.end_s for event in events))
    return tuple(
        previous if event.start_s is None else event.start_s
        for event, previous in zip(events, previous_ends, strict=False)
    )


LABEL_ROUNDING_S = 0.05
"""Labels are often written to 0.1 s: half a step past the end of a clip is not past it."""
DURATION_TOLERANCE_S = 0.25
DURATION_TOLERANCE = 0.02
"""Share of the duration: containers count audio, or leave the last frame out."""


def past_end(gold: object, duration_s: float) -> str | None:
    """Which labelled event ends after its clip does, in words; None where none does.

    Args:
        gold: a gold answer; one that is not a tuple of events has no times to be wrong.
        duration_s: of the clip.
    """
    events = gold if isinstance(gold, tuple) else ()
    for event in events:
        if isinstance(event, Event) and event.end_s > duration_s + LABEL_ROUNDING_S:
            return f"{event.name!r} ends at {event.end_s:g} s, the clip at {duration_s:.2f} s"
    return None


def wrong_duration(
    stated_s: float | None, duration_s: float, *, slack_s: float = 0.0
) -> str | None:
    """Why labels cannot be about this clip, in words, or None: they say that it lasts much longer or less.

    Args:
        stated_s: of the labels, where they say it.
        duration_s: of the clip.
        slack_s: how far `duration_s` may be off.
    """
    tolerance_s = max(DURATION_TOLERANCE_S, DURATION_TOLERANCE * duration_s) + slack_s
    if stated_s is None or abs(stated_s - duration_s) <= tolerance_s:
        return None
    return f"labels say {stated_s:g} s, the clip lasts {duration_s:.3f} s"


def one_line(name: str) -> str:
    """A name as it stands in prompts and answers: white space folded to single spaces."""
    return " ".join(name.split())


def listed(query: Query) -> str:
    """The events as a prompt lists them: `Event 1: grasping the red cube`, one a line."""
    return "\n".join(f"Event {i}: {one_line(name)}" for i, name in enumerate(query, 1))


@lru_cache(maxsize=4096)  # the same few names are compared for every answer
def normalised(name: str) -> str:
    """A name as two of them are compared: letters and digits only, without case and articles."""
    text = unicodedata.normalize("NFKC", name).casefold()
    words = "".join(c if c.isalnum() else " " for c in text).split()
    return " ".join(word for word in words if word not in {"a", "an", "the"})


def aligned(events: Sequence[Event], query: Query) -> tuple[Event | None, ...]:
    """The event that answers each name of the query, or None; one place for each event.

    An event with a number goes to that place; one without goes to the first free place of its
    (normalised) name. Events that fit no place, and second events for one place, are left out.
    """
    places: list[Event | None] = [None] * len(query)
    free: dict[str, list[int]] = {}
    for event in events:
        if event.number is not None and 1 <= event.number <= len(query):
            place = event.number - 1
            places[place] = places[place] or event
    for place, name in reversed(list(enumerate(query))):
        if places[place] is None:
            free.setdefault(normalised(name), []).append(place)
    for event in events:
        if event.number is None and (open_places := free.get(normalised(event.name))):
            places[open_places.pop()] = event
    return tuple(places)


def gold_places(gold: Sequence[Event], query: Query) -> tuple[Event | None, ...]:
    """`aligned` for the truth: raises ValueError where the query does not ask for all of it."""
    places = aligned(gold, query)
    if sum(event is not None for event in places) != len(gold):
        raise ValueError(f"the gold events {[e.name for e in gold]} are not all in {list(query)}")
    return places


def seconds_text(seconds: float) -> str:
    """`2.1` -> `2.10`. Three decimals only for a time that is not a whole hundredth."""
    hundredths = f"{seconds:.2f}"
    return hundredths if abs(float(hundredths) - seconds) < 5e-4 else f"{seconds:.3f}"


def time_grid(times_s: Sequence[float]) -> tuple[str, ...]:
    """Frame times in s -> the times an answer can name: hundredths, strictly increasing.

    Frames closer than a hundredth share one name. Raises ValueError for no frame, and for times
    that are negative, not finite or not in order.
    """
    if not times_s or not all(math.isfinite(t) and t >= 0 for t in times_s):
        raise ValueError("frame times must be finite, at least 0 s, and at least one")
    if any(b < a for a, b in pairwise(times_s)):
        raise ValueError("frame times must be in order")
    return tuple(dict.fromkeys(f"{t:.2f}" for t in times_s))


def events_to_json(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Events as plain rows: `name`, `start_s` (may be null), `end_s`, and `number` where set."""
    return [
        {"name": event.name, "start_s": event.start_s, "end_s": event.end_s}
        | ({} if event.number is None else {"number": event.number})
        for event in events
    ]


def events_from_json(rows: Sequence[Mapping[str, Any]]) -> Events:
    """Rows written by `events_to_json` -> events."""
    return tuple(
        Event(
            name=str(row["name"]),
            start_s=None if row.get("start_s") is None else float(row["start_s"]),
            end_s=float(row["end_s"]),
            number=row.get("number"),
        )
        for row in rows
    )


def nearest(times_s: Sequence[float], moment_s: float) -> int:
    """Index of the time nearest to a moment, of times that ascend; the earlier of two equally near."""
    after = bisect_left(times_s, moment_s)
    near = range(max(0, after - 1), min(len(times_s), after + 1))
    return min(near, key=lambda i: abs(times_s[i] - moment_s))
