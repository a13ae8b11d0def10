"""Settings from files and command lines into frozen dataclasses; unknown keys refused by name."""

import dataclasses
import sys
import tomllib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from kairoscope.core import UserError
from kairoscope.limits import check_limits

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dict. Raises UserError where it is absent or no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not TOML ({error})") from error


def changed(settings: T, values: Mapping[str, Any], where: str) -> T:
    """`settings` (a frozen dataclass) with some fields replaced, types checked.

    Args:
        settings: where to start from.
        values: field name -> value; tables for nested settings, lists for tuples, "none" for None.
        where: the file or option that the values come from, for messages.

    Raises:
        UserError: a name that is not a field, or a value of another type or out of range, naming what is
            allowed.
    """
    kind: Any = type(settings)
    hints = get_type_hints(kind)
    if not isinstance(values, Mapping):
        raise UserError(f"{where} is {values!r}; allowed: a table of {', '.join(hints)}")
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise UserError(f"{where}: unknown {', '.join(unknown)}; allowed: {', '.join(hints)}")
    replaced = {
        key: _value(hints[key], value, f"{where}: {key}", getattr(settings, key))
        for key, value in values.items()
    }
    for key, value in replaced.items():
        check_limits(key, value, where)
    return dataclasses.replace(settings, **replaced)  # type: ignore[type-var]


def assignments(pairs: Sequence[str], option: str) -> dict[str, Any]:
    """`["learning_rate=1e-4", "lora.rank=8"]` -> nested values, each read as a TOML value.

    What is no TOML value is taken as text, so that `dtype=bfloat16` needs no quotes.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        names = [name.strip() for name in key.split(".")]
        if not sign or not all(names):
            raise UserError(f"{option} {pair!r}: expected name=value")
        place = values
        for table in names[:-1]:
            place = place.setdefault(table, {})
            if not isinstance(place, dict):
                raise UserError(f"{option} {pair!r}: {table} has been given the value {place!r}")
        place[names[-1]] = _toml_value(text.strip())
    return values


def _toml_value(text: str) -> Any:
    try:
        table = tomllib.loads(f"v = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return table["v"] if len(table) == 1 else text


def _value(hint: Any, value: Any, where: str, present: Any) -> Any:
    """`value` as the type that `hint` names, or a UserError that says what is allowed."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if type(None) in options and value in (None, "none"):
        return None
    for option in (o for o in options if o is not type(None)):
        if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
            kind: Any = option
            return changed(present if isinstance(present, kind) else kind(), value, where)
        if get_origin(option) is tuple and isinstance(value, list | tuple):
            return tuple(
                _value(each, item, f"{where}[{i}]", None)
                for i, (each, item) in enumerate(
                    zip(_items(option, value, where), value, strict=True)
                )
            )
        if _fits(option, value):
            return float(value) if option is float else value
    raise UserError(f"{where} is {value!r}; allowed: {', '.join(map(_named, options))}")


def _fits(option: Any, value: Any) -> bool:
    """Whether a plain value is one of a type; true is no number, nor is what is not finite."""
    if get_origin(option) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(option))
    if option is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max
    return isinstance(option, type) and type(value) is option


def _items(option: Any, value: Sequence[Any], where: str) -> Sequence[Any]:
    """The type of every item of a tuple: `tuple[float, float]` has two, `tuple[str, ...]` any."""
    kinds = get_args(option)
    if kinds[1:] == (...,):
        return kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise UserError(f"{where} is {list(value)!r}; allowed: {_named(option)}")
    return kinds


def _named(option: Any) -> str:
    """A type as a user would write a value of it."""
    if get_origin(option) is Literal:
        return ", ".join(repr(choice) for choice in get_args(option))
    if option is type(None):
        return "none"
    if dataclasses.is_dataclass(option):
        return f"a table of {', '.join(field.name for field in dataclasses.fields(option))}"
    if get_origin(option) is tuple:
        kinds = get_args(option)
        if kinds[1:] == (...,):
            return f"a list of {_named(kinds[0])}"
        return f"a list of {len(kinds)}: {', '.join(map(_named, kinds))}"
    return {float: "a number", int: "a whole number", bool: "true or false", str: "text"}.get(
        option, str(option)
    )
