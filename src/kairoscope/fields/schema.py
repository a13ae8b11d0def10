"""Schema files: what is asked about every clip of a kind. A TOML file a schema.

name = "driving"
system = "You label driving videos."
opening = "Describe the clip by these fields."

[[fields]]
name = "weather"
kind = "choice"            # choice, boolean, integer, set or text
values = ["Clear skies", "Light rain"]
instruction = "The weather, as far as it can be seen."
question = "What is the weather like?"
nullable = true            # a label may leave it empty
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from kairoscope.core import UserError

SHIPPED = Path(__file__).parent / "schemas"
Kind = Literal["choice", "boolean", "integer", "set", "text"]
Value = str | int | bool | tuple[str, ...] | None
"""Of a field: text or one of its values, a whole number, true or false, some of its values in their
order, or nothing."""
YES, NO = "True", "False"
"""How labels of driving clips write a boolean."""
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
MAX_FIELDS = 64
MAX_VALUES = 64
MAX_WORDS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing that is asked about a clip."""

    name: str
    """Key of the field in answers and labels: lower case, digits and underscores."""
    kind: Kind
    instruction: str
    """What the model is told about the field."""
    question: str
    """The field as a question, for whoever judges an answer without the clip."""
    values: tuple[str, ...] = ()
    """What may be written: all of a closed field's values; empty for texts."""
    nullable: bool = False
    """Whether a label may leave it empty. An empty set needs no leave."""
    max_words: int = 60
    """Of a text."""

    @property
    def closed(self) -> bool:
        """Whether exactly one of a list of values is right."""
        return self.kind in ("choice", "boolean", "integer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The fields, and what a model is told before and after the clip."""

    name: str
    fields: tuple[Field, ...]
    system: str
    opening: str = ""

    def field(self, name: str) -> Field:
        """The field of that name. Raises KeyError."""
        return next(field for field in self.fields if field.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the fields, in their order."""
        return tuple(field.name for field in self.fields)


def schema_from_json(row: Mapping[str, Any]) -> Schema:
    """The inverse of `storage.plain`: a schema as a run keeps it."""
    fields = tuple(Field(**{**field, "values": tuple(field["values"])}) for field in row["fields"])
    return Schema(**{**row, "fields": fields})


def shipped_schemas() -> Mapping[str, Path]:
    """Name -> file of the schemas that come with the package, sorted by name."""
    return {file.stem: file for file in sorted(SHIPPED.glob("*.toml"))}


def load_schema(name_or_path: str) -> Schema:
    """A schema by the path of its `.toml` file, or by the name of one that is shipped.

    Raises UserError: no such file or name, or a file that is not a schema.
    """
    shipped = shipped_schemas()
    if not name_or_path.lower().endswith(".toml"):
        if name_or_path not in shipped:
            raise UserError(
                f"schema {name_or_path!r} is not shipped; allowed: the path of a .toml file, or "
                f"one of {', '.join(shipped)}"
            )
        return _read(shipped[name_or_path])
    return _read(Path(name_or_path))


def _read(file: Path) -> Schema:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{file}: not TOML: {error}") from error
    try:
        return schema_of(table)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def schema_of(table: Mapping[str, Any]) -> Schema:
    """A schema from the table of its file. Raises UserError that names the key."""
    _check_keys(table, ("name", "system", "opening", "fields"), ("name", "system", "fields"))
    rows = table["fields"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_FIELDS:
        raise UserError(f"fields: allowed: 1 to {MAX_FIELDS} tables [[fields]]")
    fields = tuple(_field(row, place) for place, row in enumerate(rows, 1))
    names = [field.name for field in fields]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"field {twice!r} is there twice; every field needs a name of its own")
    if all(field.kind == "text" for field in fields):
        raise UserError("every field is a text; at least one must be closed or a set to be scored")
    return Schema(
        name=_text(table, "name", "schema"),
        fields=fields,
        system=_text(table, "system", "schema"),
        opening=_text(table, "opening", "schema") if "opening" in table else "",
    )


KEYS = ("name", "kind", "instruction", "question", "values", "nullable", "max_words", "range")


def _field(row: Any, place: int) -> Field:
    where = f"field {place}"
    if not isinstance(row, dict):
        raise UserError(f"{where} is {row!r}; allowed: a table [[fields]]")
    _check_keys(row, KEYS, ("name", "kind", "instruction"), where)
    name = _text(row, "name", where)
    where = f"field {name!r}"
    if not NAME.fullmatch(name):
        raise UserError(f"{where}: allowed: a-z, 0-9 and _ , beginning with a letter")
    kind = row["kind"]
    if kind not in get_args(Kind):
        raise UserError(f"{where}: kind is {kind!r}; allowed: {', '.join(get_args(Kind))}")
    words = row.get("max_words", 60)
    if type(words) is not int or not 1 <= words <= MAX_WORDS:
        raise UserError(f"{where}: max_words is {words!r}; allowed: 1 to {MAX_WORDS}")
    if type(nullable := row.get("nullable", False)) is not bool:
        raise UserError(f"{where}: nullable is {nullable!r}; allowed: true or false")
    instruction = _text(row, "instruction", where)
    return Field(
        name=name,
        kind=kind,
        instruction=instruction,
        question=_text(row, "question", where) if "question" in row else instruction,
        values=_values(row, kind, where),
        nullable=nullable,
        max_words=words,
    )


def _values(row: Mapping[str, Any], kind: Kind, where: str) -> tuple[str, ...]:
    """What a field may say, as it is written."""
    wanted = {"integer": "range", "choice": "values", "set": "values"}.get(kind)
    for key in ("range", "values"):
        if (key in row) != (key == wanted):
            state = "missing" if key == wanted else "not for this kind"
            raise UserError(f"{where}: {key} is {state}: kind is {kind!r}")
    if kind == "boolean":
        return (NO, YES)
    if kind == "text":
        return ()
    if kind == "integer":
        return _whole_numbers(row["range"], where)
    values = row["values"]
    good = isinstance(values, list) and all(isinstance(v, str) and v.strip() for v in values)
    if not good or not 2 - (kind == "set") <= len(values) <= MAX_VALUES:
        raise UserError(f"{where}: values is {values!r}; allowed: 2 to {MAX_VALUES} texts")
    if odd := next((v for v in values if not _is_plain(v)), None):
        raise UserError(
            f"{where}: value {odd!r} has a quotation mark, a backslash, a line break or blanks around it"
        )
    folded = [folded_text(value) for value in values]
    if twice := next((v for v, f in zip(values, folded, strict=True) if folded.count(f) > 1), None):
        raise UserError(f"{where}: value {twice!r} is there twice (case and dashes do not count)")
    return tuple(values)


def _whole_numbers(limits: Any, where: str) -> tuple[str, ...]:
    good = isinstance(limits, list) and len(limits) == 2 and all(type(n) is int for n in limits)
    if not good or not 0 <= limits[0] < limits[1] < limits[0] + MAX_VALUES:
        raise UserError(
            f"{where}: range is {limits!r}; allowed: two whole numbers from 0 on, as [1, 5], with at "
            f"most {MAX_VALUES} between them"
        )
    return tuple(str(number) for number in range(limits[0], limits[1] + 1))


def folded_text(text: str) -> str:
    """Text by which values are compared: case, spaces, and the kind of dash do not count."""
    for dash in "‐‑‒–—−":
        text = text.replace(dash, "-")
    return " ".join(text.casefold().split()).strip(" .;,")


def _is_plain(text: str) -> bool:
    return text.isprintable() and not set(text) & {'"', "\\"} and text == text.strip()


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: {key} is {value!r}; allowed: a text")
    return value.strip()


def _check_keys(
    table: Mapping[str, Any], known: tuple[str, ...], needed: tuple[str, ...], where: str = "schema"
) -> None:
    if unknown := sorted(set(table) - set(known)):
        raise UserError(f"{where}: unknown {', '.join(unknown)}; allowed: {', '.join(known)}")
    if missing := [key for key in needed if key not in table]:
        raise UserError(f"{where}: {', '.join(missing)} is missing")
