"""One event as an answer states it, before it is laid beside the query."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from kairoscope.events import normalised, one_line

MAX_ENTRIES = 4096
"""Entries looked at in one answer, which bounds the work on garbage."""
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Interval:
    """Times that can be used: 0 <= start <= end, finite."""

    start_s: float | None
    end_s: float


@dataclass(frozen=True, slots=True)
class Entry:
    """What one line or object of an answer says."""

    number: int | None
    text: str
    """The name, possibly followed by an explanation."""
    times: Interval | str
    """The interval, or what is wrong with it."""
    in_place: bool = True
    """Whether, without a number or a known name, its position says which event it is about."""


def interval(start_s: float | None, end_s: float | None) -> Interval | str:
    """Two times as an interval, or what is wrong with them. A start of None is not known."""
    if end_s is None:
        return "its end is not a time"
    for what, value in (("start", start_s), ("end", end_s)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            return f"its {what} is {value}"
    if start_s is not None and start_s > end_s:
        return f"it ends ({end_s:g}) before it starts ({start_s:g})"
    return Interval(start_s, end_s)


def event_name(text: str, names: Collection[str]) -> str:
    """The name in front of an explanation, as it was written.

    `names` are the normalised names that were asked for: of the places where the name could end
    (a bar, a line break, a sentence, a dash) the first that gives one of them is taken; else the
    bar or the empty line.
    """
    text = text[: 10 * MAX_NAME]
    head = next((part for part in text.split("|") if part.strip()), "")
    paragraph = head.strip().split("\n\n", 1)[0]
    ends = (one_line(text), one_line(head), one_line(paragraph), one_line(paragraph.split("\n")[0]))
    line = one_line(paragraph)
    cuts = (line.split(mark, 1)[0] for mark in (". ", "; ", " - ", " – ", " — ", ": ", " ("))
    for candidate in (*ends, *cuts):
        if len(candidate) <= MAX_NAME and normalised(candidate) in names:
            return candidate.strip(" .:;,-")
    return line[:MAX_NAME].strip(" .:;,-")
