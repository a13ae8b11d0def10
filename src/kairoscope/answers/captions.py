"""Captions as models write them, in any layout of JSON, and what is nearly JSON -> values. Pure, total."""

import json
import re
from collections.abc import Sequence
from typing import Any

from kairoscope.answers.section import answer_section
from kairoscope.core import Unparsed
from kairoscope.fields.normalise import NoValue, normalised_value
from kairoscope.fields.schema import Schema, Value

_DECODER = json.JSONDecoder(strict=False)
_ABSENT = object()
_WORD = re.compile(r"[^,}\]\n]{0,2000}")


def parse_caption(schema: Schema, query: Sequence[str], text: str) -> dict[str, Value] | Unparsed:
    """The fields of `query` that an answer has, each as a value of its field.

    Of two values for a field the later counts. What is no value of its field is absent. `Unparsed`
    where no field is left. Never raises; time grows with the text's length times the fields' number.
    """
    section = answer_section(text)
    found: dict[str, Value] = {}
    for name in query:
        raw = _raw(section, name)
        if raw is _ABSENT:
            continue
        try:
            found[name] = normalised_value(schema.field(name), raw)
        except NoValue:
            continue
    if found:
        return found
    begins = " ".join(section[:400].split())
    return Unparsed(
        f"none of the {len(query)} fields: the answer begins {begins[:60]!r}"
        if begins
        else "the answer is empty"
    )


def _raw(section: str, name: str) -> Any:
    """What stands behind the last mention of a field as a key, or `_ABSENT`."""
    place = None
    for match in re.finditer(
        rf"""["'*]{{0,2}}\b{name}\b["'*]{{0,2}}\s{{0,8}}[:=]\s{{0,8}}""", section
    ):
        place = match.end()
    if place is None:
        return _ABSENT
    try:
        return _DECODER.raw_decode(section, place)[0]
    except (ValueError, RecursionError):
        return _loose(section, place)


def _loose(section: str, place: int) -> str:
    """A value that is no JSON: `None`, `True`, text without quotes, or a string that is cut off."""
    quote = section[place : place + 1]
    if quote in ("'", '"'):
        end = section.find(quote, place + 1)
        line_end = section.find("\n", place + 1)
        ends = [e for e in (end, line_end) if e >= 0]
        return section[place + 1 : min(ends, default=len(section))]
    match = _WORD.match(section, place)
    return match[0].strip(" \t\r\"'") if match else ""
