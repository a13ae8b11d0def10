"""Labels and answers as they come -> values of a schema's fields. Pure, total.

People and models write `"True"`, `true`, `yes` and `1` for one thing, a list or one text with
semicolons for another, and null, "N/A" or nothing for a third. What cannot be read as a value of its
field is no value: it is named, never guessed.
"""

import re
from collections.abc import Mapping
from typing import Any

from kairoscope.fields.schema import NO, YES, Field, Schema, Value, folded_text

EMPTY = frozenset({"", "n/a", "na", "none", "null", "nil", "not applicable"})
_TRUE = frozenset({"true", "yes", "y", "1"})
_FALSE = frozenset({"false", "no", "n", "0"})
_SEPARATOR = re.compile(r"[;\n]+")
MAX_SHOWN = 60


class NoValue(ValueError):
    """What was written is no value of the field. The message says what is allowed."""


def normalised_label(schema: Schema, raw: Mapping[str, Any]) -> tuple[dict[str, Value], list[str]]:
    """The values of a label in the schema's order, and what is wrong with the rest, in words.

    A field that is missing, empty without leave, or not one of its values is left out.
    """
    values: dict[str, Value] = {}
    problems: list[str] = []
    for field in schema.fields:
        if field.name not in raw:
            problems.append(f"{field.name} is missing")
            continue
        try:
            values[field.name] = normalised_value(field, raw[field.name])
        except NoValue as error:
            problems.append(f"{field.name} {error}")
    return values, problems


def unknown_keys(schema: Schema, raw: Mapping[str, Any]) -> list[str]:
    """Keys of a label that the schema does not have, sorted."""
    return sorted(set(raw) - set(schema.names))


def normalised_value(field: Field, raw: Any) -> Value:
    """One field's value as the schema has it. Raises NoValue."""
    if field.kind == "set":
        return _set(field, raw)
    if is_empty(raw) and not _names_a_value(field, raw):
        if field.nullable:
            return None
        raise NoValue(f"is {shown(raw)}; allowed: {allowed(field)}")
    if field.kind == "text":
        return _text(raw)
    if field.kind == "boolean":
        return _boolean(raw)
    if field.kind == "integer":
        return _integer(field, raw)
    return _one_of(field, raw)


def allowed(field: Field) -> str:
    """What may be written for a field, in words."""
    if field.kind == "text":
        return "a text"
    kind = "some of " if field.kind == "set" else ""
    empty = ", or nothing" if field.nullable and field.kind != "set" else ""
    return kind + ", ".join(field.values) + empty


def is_empty(raw: Any) -> bool:
    """Whether this stands for nothing: null, an empty list, "N/A", "none"."""
    if isinstance(raw, str):
        return folded_text(raw) in EMPTY
    return raw is None or raw == [] or raw == {}


def shown(raw: Any) -> str:
    """A value for a message, cut short."""
    text = repr(raw)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _names_a_value(field: Field, raw: Any) -> bool:
    return isinstance(raw, str) and folded_text(raw) in map(folded_text, field.values)


def _text(raw: Any) -> str:
    if isinstance(raw, list) and all(isinstance(part, str | int | float) for part in raw):
        raw = "; ".join(str(part).strip() for part in raw)
    if isinstance(raw, bool | int | float):
        raw = str(raw)
    if not isinstance(raw, str):
        raise NoValue(f"is {shown(raw)}; allowed: a text")
    lines = (" ".join(line.split()) for line in raw.splitlines())
    return " ".join(line for line in lines if line)


def _boolean(raw: Any) -> bool:
    word = folded_text(str(raw)) if isinstance(raw, bool | int | str) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise NoValue(f"is {shown(raw)}; allowed: {YES}, {NO}")


def _integer(field: Field, raw: Any) -> int:
    text = str(raw).strip() if isinstance(raw, int | float | str) else ""
    text = text.removesuffix(".0")
    if isinstance(raw, bool) or text not in field.values:
        raise NoValue(f"is {shown(raw)}; allowed: {allowed(field)}")
    return int(text)


def _one_of(field: Field, raw: Any) -> str:
    if isinstance(raw, list) and len(raw) == 1:
        raw = raw[0]
    wanted = folded_text(raw) if isinstance(raw, str) else None
    for value in field.values:
        if folded_text(value) == wanted:
            return value
    raise NoValue(f"is {shown(raw)}; allowed: {allowed(field)}")


def _set(field: Field, raw: Any) -> tuple[str, ...]:
    """A list, a text with semicolons, or an object that says yes or no of every value."""
    if is_empty(raw):
        return ()
    if isinstance(raw, dict):
        raw = [name for name, said in raw.items() if folded_text(str(said)) in _TRUE]
    if isinstance(raw, str):
        raw = [part for part in _SEPARATOR.split(raw) if part.strip()]
    if not isinstance(raw, list | tuple) or not all(isinstance(part, str) for part in raw):
        raise NoValue(f"is {shown(raw)}; allowed: {allowed(field)}")
    wanted = {folded_text(part): part for part in raw}
    known = {folded_text(value) for value in field.values}
    if odd := next((part for key, part in wanted.items() if key not in known), None):
        raise NoValue(f"has {shown(odd)}; allowed: {allowed(field)}")
    return tuple(value for value in field.values if folded_text(value) in wanted)
