"""Times as models write them, and which two of them are an event's start and end."""

import math
import re
from dataclasses import dataclass
from itertools import islice, pairwise

MAX_TIMES = 64
"""Times looked at in one entry: more than that is not an answer about one event."""
MAX_LENGTH = 24
"""Characters of one time: a longer run of digits is no time."""
MAX_GAP = 40
"""Characters between a start and an end that belong together."""

_TOKEN = re.compile(
    r"""(?<![0-9A-Za-z_.])(?<![0-9]:)
    (?:
        (?P<time>[0-9]+(?::[0-9]+){0,2}(?:\.[0-9]+)?|\.[0-9]+)
        (?P<unit>[ ]?(?:seconds?|secs?|s)(?![A-Za-z]))?
        (?![0-9A-Za-z_])(?!:[0-9])(?!\.[0-9])
        (?![ ]?(?:%|(?:ms|min|minutes?|frames?|fps|cm|mm|px)\b))
        |
        (?P<bad>nan|inf|infinity|none|null|n/a|unknown|undefined)(?![0-9A-Za-z_])
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_SIGN = "-−"
_JOINING = re.compile(
    r"s|secs?|seconds?|to|until|till|through|and|up|it|that|end(?:s|ed|ing)?|stops?|finish(?:es)?"
    r"|at|by|is|time|timestamp",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"start(?:s|ed|ing)?|begin(?:s|ning)?|from|between|at|end(?:s|ed|ing)?|stops?|until|till|to"
    r"|time|timestamp",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Time:
    """A time where it stands in a text."""

    seconds: float | None
    """None: it stands in a time's place and is none (`nan`, `-1.0`, `12:99`)."""
    begin: int
    end: int
    bracketed: bool
    """Written as `<2.9>`."""
    plain: bool
    """A bare whole number, which may as well count something in the event's name."""


def seconds_of(text: str) -> float | None:
    """`2.9`, `2.9 s`, `mm:ss.ff` or `hh:mm:ss.ff` -> seconds; None for anything else."""
    stripped = text.strip().strip("<>[]()\"'").strip()
    match = _TOKEN.fullmatch(stripped) if len(stripped) <= MAX_LENGTH else None
    return _value(match["time"]) if match and match["time"] else None


def _value(time: str) -> float | None:
    if len(time) > MAX_LENGTH:
        return None
    parts = [float(part) for part in time.split(":")]
    if any(part >= 60 for part in parts[1:]):
        return None
    total = 0.0
    for part in parts:
        total = total * 60 + part
    # 1:02.3 is 62.3, not 62.300000000000004
    return round(total, 6) if math.isfinite(total) else None


def _times(text: str) -> list[Time]:
    found: list[Time] = []
    for match in islice(_TOKEN.finditer(text), MAX_TIMES):
        begin, end = match.span()
        before = text[found[-1].end if found else 0 : begin]
        negative = _negative(before, first=not found)
        opened, closed = before.rstrip(_SIGN if negative else None), text[end : end + 3].lstrip()
        time = match["time"]
        found.append(
            Time(
                seconds=None if negative or not time else _value(time),
                begin=begin,
                end=end,
                bracketed=opened.rstrip().endswith("<") and closed.startswith(">"),
                plain=bool(time) and time.isdigit() and not match["unit"],
            )
        )
    return found


def _negative(before: str, *, first: bool) -> bool:
    """Whether a sign ends the text before a number: `<-1.0>`, but not the dash of `2.9 -5.5`."""
    if not before.endswith(tuple(_SIGN)):
        return False
    return not before[-2:-1].isalnum() if first else bool(before.strip(" >)]\"'" + _SIGN))


def start_and_end(text: str) -> tuple[Time, Time] | None:
    """The two times of a text that are its event's start and end, in the order written.

    The first two in angle brackets; else the first two with nothing but a dash, a comma, `to` or
    the like between them, rather not both bare whole numbers; else the first two that are marked
    as times by a unit, a point, a colon or a word such as `starts`; else two numbers in front.
    """
    times = _times(text)
    bracketed = [time for time in times if time.bracketed]
    if len(bracketed) >= 2:
        return bracketed[0], bracketed[1]
    joined = [(a, b) for a, b in pairwise(times) if _joined(text[a.end : b.begin])]
    if joined:
        marked_pairs = [pair for pair in joined if not (pair[0].plain or pair[1].plain)]
        return (marked_pairs or joined)[0]
    marked = [time for time in times if not time.plain or _labelled(text, time)]
    if len(marked) >= 2:
        return marked[0], marked[1]
    in_front = len(times) >= 2 and not text[: times[0].begin].strip()
    if in_front and not text[times[0].end : times[1].begin].strip():
        return times[0], times[1]
    return None


def _joined(between: str) -> bool:
    if len(between) > MAX_GAP or not between.strip() or any(c.isdigit() for c in between):
        return False
    return all(_JOINING.fullmatch(word) for word in _WORD.findall(between))


def _labelled(text: str, time: Time) -> bool:
    words = _WORD.findall(text[max(0, time.begin - 16) : time.begin])
    return bool(words and _LABEL.fullmatch(words[-1]))
