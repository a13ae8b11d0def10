"""Settings from files and command lines into frozen dataclasses; unknown keys refused by name."""

import dataclasses
import tomllib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from kairoscope.core import UserError

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
        values: field name -> value; tables for nested settings.
        where: the file or option that the values come from, for messages.
    """
    kind: Any = type(settings)
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise UserError(f"{where}: unknown {', '.join(unknown)}; allowed: {', '.join(hints)}")
    replaced = {
        key: _value(hints[key], value, f"{where}: {key}", getattr(settings, key))
        for key, value in values.items()
    }
    return dataclasses.replace(settings, **replaced)  # type: ignore[type-var]


def assignments(pairs: Sequence[str], option: str) -> dict[str, Any]:
    """`["learning_rate=1e-4", "lora.rank=8"]` -> nested values, each read as a TOML value."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key.strip():
            raise UserError(f"{option} {pair!r}: expected name=value")
        try:
            value = tomllib.loads(f"v = {text.strip()}")["v"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        *tables, leaf = key.strip().split(".")
        place = values
        for table in tables:
            place = place.setdefault(table, {})
        place[leaf] = value
    return values


def _value(hint: Any, value: Any, where: str, present: Any) -> Any:
    """`value` as the type that `hint` names, or a UserError that says what is allowed."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if type(None) in options and value in (None, "none"):
        return None
    for option in (o for o in options if o is not type(None)):
        if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
            kind: Any = option
            return changed(present if isinstance(present, kind) else kind(), value, where)
        if get_origin(option) is Literal and value in get_args(option):
            return value
        if get_origin(option) is tuple and isinstance(value, list):
            return tuple(value)
        if option is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if isinstance(option, type) and type(value) is option:
            return value
    raise UserError(f"{where} is {value!r}; allowed: {_allowed(options)}")


def _allowed(options: Sequence[Any]) -> str:
    said = []
    for option in options:
        if get_origin(option) is Literal:
            said += [repr(choice) for choice in get_args(option)]
        elif option is type(None):
            said.append("none")
        else:
            said.append(getattr(option, "__name__", str(option)))
    return ", ".join(said)
