"""What a model wrote -> values, or the reason why there are none. Pure, total, linear time.

`section` finds the answer in the text, `objects` and `listing` its entries, `times` the times in
them; here they are laid beside the events that were asked for.
"""

from collections.abc import Sequence
from typing import Any

from kairoscope.answers.entry import Entry, event_name
from kairoscope.answers.listing import listed_entries
from kairoscope.answers.objects import json_entries, value_entries
from kairoscope.answers.section import answer_section
from kairoscope.core import Unparsed
from kairoscope.events import Event, Events, Query, normalised

__all__ = ["answer_section", "parse_event_rows", "parse_events"]

_SHOWN = 60


def parse_events(text: str, query: Query) -> Events | Unparsed:
    """The events of a model's answer to `query`, in the query's order, or why there are none.

    An entry goes to the event of its number; without a number, to the event of its name; else to
    the event at its position in the answer. Of two entries for one event the later counts: drafts
    come before what replaces them. An entry without a name takes that of its event, and one with
    a wrong name keeps it, so that names can be scored.

    An event whose entry gives no usable interval (a time missing, negative or not a number, or an
    end before its start: which of the two is wrong cannot be known) is absent, as is one without
    an entry; entries beyond the query are ignored. `Unparsed` only where no event is left.

    Never raises; linear time. Returned events carry `number`, their place in the query.
    """
    if not query:
        return Unparsed("no event was asked for")
    section = answer_section(text)
    entries = json_entries(section) or listed_entries(section)
    placed = _placed(entries, query)
    if not placed:
        return Unparsed(_reason(section, entries, query))
    return tuple(placed[place] for place in sorted(placed))


def parse_event_rows(rows: Sequence[Any], query: Query) -> Events | Unparsed:
    """The same for an answer that is data already: objects with `name`, `start_s` and `end_s`.

    Takes every key and form of time that `parse_events` takes from JSON. Never raises.
    """
    entries = value_entries(list(rows))
    placed = _placed(entries, query)
    if not placed:
        return Unparsed(_reason(f"{len(rows)} rows of events", entries, query))
    return tuple(placed[place] for place in sorted(placed))


def _placed(entries: Sequence[Entry], query: Query) -> dict[int, Event]:
    """Place in the query, from 0 -> its event."""
    places = {normalised(name): place for place, name in reversed(list(enumerate(query)))}
    counts_from = 0 if any(entry.number == 0 for entry in entries) else 1
    found: dict[int, Event] = {}
    by_position: dict[int, Event] = {}
    position = -1
    for entry in entries:
        place = None if entry.number is None else entry.number - counts_from
        position += place is None
        if isinstance(entry.times, str) or (place is not None and not 0 <= place < len(query)):
            continue
        wanted = places if place is None else {normalised(query[place]): place}
        name = event_name(entry.text, wanted)
        times = entry.times.start_s, entry.times.end_s
        if place is None:
            place = places.get(normalised(name))
        if place is not None:
            found[place] = Event(name or query[place], *times, place + 1)
        elif entry.in_place and position < len(query):
            by_position[position] = Event(name or query[position], *times, position + 1)
    return by_position | found


def _reason(section: str, entries: Sequence[Entry], query: Query) -> str:
    """What was found instead of the events that were asked for."""
    begins = " ".join(section[:400].split())
    if not begins:
        return "the answer is empty"
    shown = begins if len(begins) <= _SHOWN else begins[: _SHOWN - 1] + "…"
    if not entries:
        return f"no start and end times: the answer begins {shown!r}"
    problem = next((e.times for e in entries if isinstance(e.times, str)), None)
    if problem is None:
        return f"{len(entries)} entries, none of them for one of the {len(query)} events"
    return f"none of {len(entries)} entries has usable times; the first: {problem}: {shown!r}"
