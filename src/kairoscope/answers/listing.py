"""Answers written as lines: numbered events, numbered lists, tables, or one event a line."""

import re
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice

from kairoscope.answers.entry import MAX_ENTRIES, Entry, Interval, interval
from kairoscope.answers.times import start_and_end

MAX_ENTRY = 4000
"""Characters of one entry that are read."""

# Every pattern takes a run of blanks in one place only: two would make them quadratic.
_MARKUP = re.compile(r"[*`#\"“”]+|^[ \t]*[>•]", re.MULTILINE)
_EVENT = re.compile(
    r"^[ \t|(\[-]*(?:event|subtask|sub-task|action|step)[ ]?[0-9]{1,4}\b[ ]?[:.)\]|]*"
    r"|\bevent[ ]?[0-9]{1,4}[ ]?:",
    re.IGNORECASE | re.MULTILINE,
)
_ITEM = re.compile(r"^[ \t|(]*[0-9]{1,4}(?:[.):](?=\s)|[ \t]*\|)", re.MULTILINE)
_NUMBER = re.compile(r"[0-9]{1,4}")
_EDGE = " \t\r\n<>[](){}|:;,.=~→–—−'-"
_CONNECTOR = re.compile(r"starts?|begins?|from|between|at|times?|timestamp", re.IGNORECASE)


def listed_entries(section: str) -> list[Entry]:
    """The entries of a section, in the clearest form that it has: numbered, or else one a line.

    Only where nothing is numbered may a paragraph, or all of it, be one entry.
    """
    text = _MARKUP.sub("", section)
    numbered = [
        [_entry(number, body) for number, body in _numbered(text, marker)]
        for marker in (_EVENT, _ITEM)
    ]
    usable = (entries for entries in numbered if _any_usable(entries))
    if (found := next(usable, None) or next(filter(None, numbered), None)) is not None:
        return found
    for pieces in (text.split("\n"), text.split("\n\n"), [text]):
        if _any_usable(entries := list(_unnumbered(pieces))):
            break
    return entries


def _any_usable(entries: list[Entry]) -> bool:
    return any(isinstance(entry.times, Interval) for entry in entries)


def _numbered(text: str, marker: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """(number, text up to the next marker) of the last `MAX_ENTRIES` markers, in order."""
    marks = deque(marker.finditer(text), maxlen=MAX_ENTRIES)
    ends = chain((mark.start() for mark in islice(marks, 1, None)), [len(text)])
    for mark, end in zip(marks, ends, strict=False):
        number = _NUMBER.search(mark[0])
        if number:
            yield int(number[0]), text[mark.end() : min(end, mark.end() + MAX_ENTRY)]


def _unnumbered(pieces: list[str]) -> Iterator[Entry]:
    """One entry for each piece with a start and an end; a piece without may be its heading."""
    heading = ""
    with_digits = (piece[:MAX_ENTRY] for piece in pieces if piece.strip())
    for piece in islice(with_digits, MAX_ENTRIES):
        entry = _entry(None, piece)
        if isinstance(entry.times, str) and start_and_end(piece) is None:
            heading = entry.text
            continue
        yield entry if entry.text else Entry(None, heading, entry.times)
        heading = ""


def _entry(number: int | None, body: str) -> Entry:
    """An entry whose name stands before its times, or else after them.

    What stands behind a bar is an explanation with times of its own, unless none came before it,
    as in the row of a table.
    """
    stripped = body.strip(" \t|")
    source = stripped.split("|", 1)[0]
    pair = start_and_end(source)
    if pair is None:
        source = stripped
        pair = start_and_end(source)
    if pair is None:
        return Entry(number, _trimmed(stripped), "it does not give a start and an end")
    start, end = pair
    name = _without_connectors(_trimmed(source[: start.begin]))
    name = name or _trimmed(stripped[end.end :])
    if start.seconds is None or end.seconds is None:
        what = "start" if start.seconds is None else "end"
        return Entry(number, name, f"its {what} is not a time")
    # `between 2 and 5 objects`: bare whole numbers in a sentence need the event's name beside them.
    in_place = not (name and number is None and start.plain and end.plain)
    return Entry(number, name, interval(start.seconds, end.seconds), in_place)


def _trimmed(text: str) -> str:
    return text.strip(_EDGE)


def _without_connectors(name: str) -> str:
    """`grasping the cube starts at` -> `grasping the cube`."""
    while name:
        head, _, last = name.replace("\n", " ").rpartition(" ")
        if not _CONNECTOR.fullmatch(last):
            break
        name = _trimmed(head)
    return name
