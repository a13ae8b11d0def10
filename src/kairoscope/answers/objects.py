"""Answers written as JSON: lists of objects, objects by name, in code fences or bare."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from kairoscope.answers.entry import MAX_ENTRIES, Entry, Interval, interval
from kairoscope.answers.times import seconds_of, start_and_end

_FLAT = re.compile(r"\{[^{}]*\}?")
"""One object without another inside; its closing brace may be missing at the end of the text."""
_PAIR = re.compile(
    r"""(?<![A-Za-z_])([A-Za-z_]++(?:[ ][A-Za-z_]++){0,2}+)["']?\s{0,8}+[:=]\s{0,8}+
    ("[^"]*"|'[^\n]{0,500}?'(?=\s{0,8}+[,}\]])|\[[^\[\]]*\]|[^\s,{}\[\]"'][^,{}\n]*)""",
    re.VERBOSE,
)
_START = ("start", "starts", "starttime", "startsec", "startseconds", "begin", "from")
_END = ("end", "ends", "endtime", "endsec", "endseconds", "stop", "finish", "to", "until")
_BOTH = ("time", "times", "timestamp", "timestamps", "interval", "segment", "span", "range")
_NAME = ("name", "event", "caption", "label", "subtask", "action", "description", "title", "task")
_NUMBER = ("number", "id", "index", "event", "eventnumber", "eventid", "eventindex")
_LIST = re.compile(r"(?:event|answer|result|subtask|action|segment|output)s?", re.IGNORECASE)
_NUMBERED = re.compile(
    r"(?:(?:event|subtask|action|step)\s?([0-9]{1,4})(?![0-9A-Za-z_])|([0-9]{1,4})[.):])[\s:.)-]*",
    re.IGNORECASE,
)
"""`Event 2` or `2.` in front of a name."""
MAX_FENCES = 256
MAX_OBJECT = 4000
MAX_PAIR = 40
"""Characters of a text that is nothing but a start and an end."""


def json_entries(section: str) -> list[Entry]:
    """The events of the last code fence, or else of the whole section, that is JSON.

    JSON that is cut off, wrapped or written in Python's way is read object by object. An empty
    list where there is no object or array with times.
    """
    pieces = section.split("```")
    fences = [piece for piece in reversed(pieces[1::2]) if "{" in piece or "[" in piece]
    for fence in islice(fences, MAX_FENCES):
        if entries := _entries(fence):
            return entries
    return _entries(section) if "{" in section or section.lstrip()[:1] == "[" else []


def value_entries(value: Any) -> list[Entry]:
    """The events of a JSON value that is parsed already."""
    return list(islice(_walk(value), MAX_ENTRIES))


def _entries(text: str) -> list[Entry]:
    begin = min((i for i in (text.find("{"), text.find("[")) if i >= 0), default=0)
    end = max(text.rfind("}"), text.rfind("]")) + 1
    try:
        values: Iterator[Any] = iter([json.loads(text[begin:end], strict=False)])
    except (ValueError, RecursionError):
        values = (
            _loose(match[0][:MAX_OBJECT]) for match in islice(_FLAT.finditer(text), MAX_ENTRIES)
        )
    return list(islice((entry for value in values for entry in _walk(value)), MAX_ENTRIES))


def _loose(text: str) -> dict[str, Any]:
    """Keys and values of one object that is not quite JSON."""
    return {key: value.strip("\"' \t\r\n") for key, value in _PAIR.findall(text)}


def _walk(value: Any) -> Iterator[Entry]:
    """Every entry inside a JSON value, in document order, without recursion."""
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        key, value = stack.pop()
        if (entry := _entry(key, value)) is not None:
            yield entry
        elif isinstance(value, dict):
            children = (("" if _LIST.fullmatch(k) else k, v) for k, v in value.items())
            stack.extend(reversed(list(children)))
        elif isinstance(value, list):
            stack.extend(("", item) for item in reversed(value))


def _entry(key: str, value: Any) -> Entry | None:
    """The entry that this value is, named by its key in the object around it; None for none."""
    if not isinstance(value, dict):
        pair = _pair(value) if key or isinstance(value, list) else None
        return None if pair is None else _named(None, key, pair)
    fields = {"".join(c for c in k.lower() if c.isalpha()): v for k, v in value.items()}
    fields = {k.removesuffix("s") if k in ("starts", "ends") else k: v for k, v in fields.items()}
    times = _interval(fields)
    if times is None:
        return None
    number = next((n for k in _NUMBER if (n := _number(fields.get(k))) is not None), None)
    names = (v for k in _NAME if isinstance(v := fields.get(k), str) and v.strip())
    return _named(number, next(names, key), times)


def _named(number: int | None, name: str, times: Interval | str) -> Entry:
    """`Event 2: releasing` says its number as well."""
    if match := _NUMBERED.match(name):
        number, name = number or int(match[1] or match[2]), name[match.end() :]
    return Entry(number, name, times)


def _number(value: Any) -> int | None:
    if isinstance(value, str) and len(value) <= MAX_PAIR:
        if value.strip().isdecimal():
            return int(value)
        match = _NUMBERED.fullmatch(value.strip())
        return int(match[1] or match[2]) if match else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _interval(fields: dict[str, Any]) -> Interval | str | None:
    start = next((fields[k] for k in _START if fields.get(k) is not None), None)
    end = next((fields[k] for k in _END if fields.get(k) is not None), None)
    if start is None and end is None:
        return next((p for k in _BOTH if (p := _pair(fields.get(k))) is not None), None)
    start_s, end_s = _seconds(start), _seconds(end)
    return (
        "its start is not a time"
        if start is not None and start_s is None
        else interval(start_s, end_s)
    )


def _pair(value: Any) -> Interval | str | None:
    """`[2.9, 5.5]` or `"2.9 - 5.5"`."""
    if isinstance(value, str) and len(value) <= MAX_PAIR and (found := start_and_end(value)):
        value = [time.seconds for time in found]
    if not isinstance(value, list) or len(value) != 2:
        return None
    start_s, end_s = _seconds(value[0]), _seconds(value[1])
    return None if start_s is None or end_s is None else interval(start_s, end_s)


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e9 or value != value else None
    return seconds_of(value) if isinstance(value, str) else None
