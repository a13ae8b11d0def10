"""What a model wrote -> values, or the reason why there are none. Pure, total, linear time."""

import re

from kairoscope.core import Unparsed
from kairoscope.events import Event, Events, Query, one_line

_LINE = re.compile(r"Event (\d{1,4}): <(\d{1,9}\.\d{2,3})> <(\d{1,9}\.\d{2,3})> ?(.*)")


def parse_events(text: str, query: Query) -> Events | Unparsed:
    """The events of an answer to `query`, or why there are none. Never raises."""
    found: dict[int, Event] = {}
    for line in text.splitlines():
        if match := _LINE.fullmatch(line.strip()):
            number, start_s, end_s = int(match[1]), float(match[2]), float(match[3])
            if number <= len(query) and start_s <= end_s:
                found.setdefault(number, Event(one_line(match[4]), start_s, end_s, number))
    if not found:
        return Unparsed("no line of the form `Event 1: <start> <end> name`")
    return tuple(found[number] for number in sorted(found))
