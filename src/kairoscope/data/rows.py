"""What every reader of JSON lines shares: lines with their numbers, checked keys and values."""

import json
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from kairoscope.core import UserError

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with the data: where it stands and what it is."""

    where: str
    """`file:line`, or the clip."""
    what: str
    """The offending value and what is allowed."""
    is_used: bool = False
    """A remark: the row is used all the same."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def kind_of(path: Path) -> Literal["folder", "file", "nothing"]:
    """What a path leads to. What may not be seen, or cannot be a name at all, is nothing."""
    try:
        return "folder" if stat.S_ISDIR(path.stat().st_mode) else "file"
    except (OSError, ValueError):
        return "nothing"


def read_lines(file: Path) -> list[tuple[int, bytes]]:
    """(1-based number, bytes) of every line that is not blank."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    lines = enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
    return [(number, line) for number, line in lines if line.strip()]


def parse_json_line(raw: bytes) -> Any:
    """One line of a JSON lines file; refuses a key that is given twice."""
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text (byte {error.start + 1})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"key {twice!r} is given twice")
    return table


def check_keys(item: Any, allowed: Sequence[str], required: Sequence[str], what: str) -> None:
    """Refuse anything but an object that has the required keys and no unknown ones."""
    if not isinstance(item, dict):
        raise UserError(f"{show(item)} is not {what}; allowed: an object with {', '.join(allowed)}")
    unknown = sorted(set(item) - set(allowed))
    if unknown:
        raise UserError(f"unknown key {unknown[0]!r} in {what}; allowed: {', '.join(allowed)}")
    missing = [key for key in required if key not in item]
    if missing:
        raise UserError(f"{missing[0]!r} is missing; {what} needs {' and '.join(required)}")


def optional(
    item: Mapping[str, Any], key: str, read: Callable[[Mapping[str, Any], str], Value]
) -> Value | None:
    """What `read` makes of the key, or None where it is absent or null."""
    return None if item.get(key) is None else read(item, key)


def text(item: Mapping[str, Any], key: str) -> str:
    """A text that is not blank, without the blanks around it."""
    value = item[key]
    if not isinstance(value, str) or not value.strip() or not _storable(value):
        raise UserError(f"{key} is {show(value)}; allowed: text")
    return value.strip()


def _storable(value: str) -> bool:
    """Whether the text can be written to a file and name one: no NUL, no half surrogate pair."""
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value)


def seconds(item: Mapping[str, Any], key: str) -> float:
    """A finite number from 0 up."""
    value = item[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < 1e9:  # NaN compares false, too
        raise UserError(f"{key} is {show(value)}; allowed: seconds, a finite number from 0 up")
    return float(value)


def show(value: Any) -> str:
    """A value as JSON, shortened, for a message."""
    shown = json.dumps(value, ensure_ascii=True, default=repr)
    return shown if len(shown) <= 60 else shown[:59] + "…"
