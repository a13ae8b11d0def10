"""Tables that people keep: CSV and XLSX, row by row. Nothing in them is computed or guessed.

A formula is not evaluated and a merged cell is not spread over its rows: rows that need either are
problems, with their place. `openpyxl` is imported only when a workbook is opened.
"""

import csv
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.data.rows import Problem, show

SUFFIXES = (".csv", ".tsv", ".xlsx")
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A cell without a plain value, in place of its value."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """One row below the headings."""

    where: str
    """`file:row`, as a spreadsheet counts."""
    cells: Mapping[str, Any]
    """Heading -> text, number, None where it is empty, or `Fault`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table."""

    columns: tuple[str, ...]
    rows: tuple[SheetRow, ...]
    problems: tuple[Problem, ...]
    """Rows that are none, such as those with too many cells."""


def read_sheet(file: Path, sheet: str | None = None) -> Sheet:
    """A CSV (or TSV) file, or a sheet of a workbook, whose first row that is not empty are headings.

    Args:
        file: its suffix says what it is.
        sheet: which one of a workbook that has several.

    Raises:
        UserError: no such file, another kind of file, a broken one, headings that are empty or come
            twice, no rows, or several sheets and none named.
    """
    suffix = file.suffix.lower()
    if not file.is_file():
        raise UserError(f"{file}: no such file; expected a table ({' '.join(SUFFIXES)})")
    if suffix not in SUFFIXES:
        raise UserError(f"{file}: not a table; allowed: {' '.join(SUFFIXES)}")
    lines = _workbook(file, sheet) if suffix == ".xlsx" else _text(file, sheet)
    filled = [(number, cells) for number, cells in lines if any(c is not None for c in cells)]
    if not filled:
        raise UserError(f"{file}: the table is empty")
    columns = _headings(file, filled[0][1])
    rows: list[SheetRow] = []
    problems: list[Problem] = []
    for number, cells in filled[1:]:
        where = f"{file}:{number}"
        extra = [cell for cell in cells[len(columns) :] if cell is not None]
        if extra:
            what = f"{len(columns)} columns, but more cells: {show(str(extra[0]))}"
            problems.append(Problem(where=where, what=what))
            continue
        padded = [*cells, *[None] * (len(columns) - len(cells))]
        rows.append(SheetRow(where=where, cells=dict(zip(columns, padded, strict=False))))
    return Sheet(columns=columns, rows=tuple(rows), problems=tuple(problems))


def column_of(sheet: Sheet, wanted: Sequence[str], what: str, file: Path) -> str:
    """The heading that is one of `wanted`, without regard to case, blanks and underscores.

    Raises:
        UserError: there is none, or more than one.
    """
    plain = {_plain(name) for name in wanted}
    found = [column for column in sheet.columns if _plain(column) in plain]
    if len(found) != 1:
        names = " or ".join(repr(name) for name in wanted)
        problem = f"several columns for {what}: {found}" if found else f"no column {names}"
        raise UserError(f"{file}: {problem}; it has {', '.join(map(repr, sheet.columns))}")
    return found[0]


def _plain(name: str) -> str:
    return "".join(name.lower().replace("_", " ").split())


def _headings(file: Path, cells: Sequence[Any]) -> tuple[str, ...]:
    last = max(place for place, cell in enumerate(cells) if cell is not None) + 1
    names = []
    for cell in cells[:last]:
        if not isinstance(cell, str) or not cell.strip():
            raise UserError(f"{file}: heading {show(_shown(cell))}; allowed: text in each column")
        names.append(" ".join(cell.split()))
    twice = [name for name in names if [_plain(n) for n in names].count(_plain(name)) > 1]
    if twice:
        raise UserError(f"{file}: heading {twice[0]!r} is there twice")
    return tuple(names)


def _shown(cell: Any) -> str:
    return cell.what if isinstance(cell, Fault) else str(cell)


def _text(file: Path, sheet: str | None) -> Iterator[tuple[int, list[Any]]]:
    if sheet is not None:
        raise UserError(f"{file}: --sheet {sheet}: a text table has no sheets")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text (byte {error.start + 1})") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            yield reader.line_num, [_cell(cell.strip() or None) for cell in cells]
    except csv.Error as error:
        raise UserError(f"{file}:{reader.line_num}: not a table: {error}") from error


def _cell(value: str | None) -> Any:
    """A text that a spreadsheet would compute is a formula here, too."""
    if value is not None and value.startswith("="):
        return Fault(what=f"a formula ({value[:40]})")
    return value


def _workbook(file: Path, sheet: str | None) -> Iterator[tuple[int, list[Any]]]:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(file, data_only=False)
    except (OSError, InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UserError(f"{file}: not a workbook: {error}") from error
    names = book.sheetnames
    if sheet is None and len(names) > 1:
        raise UserError(f"{file}: has several sheets; choose one with --sheet: {', '.join(names)}")
    if sheet is not None and sheet not in names:
        raise UserError(f"{file}: no sheet {sheet!r}; it has {', '.join(names)}")
    table = book[sheet] if sheet is not None else book[names[0]]
    merged = {
        (row, column): str(cells)
        for cells in table.merged_cells.ranges
        for row in range(cells.min_row, cells.max_row + 1)
        for column in range(cells.min_col, cells.max_col + 1)
    }
    for number, row in enumerate(table.iter_rows(), 1):
        yield number, [_value(cell, merged.get((number, i))) for i, cell in enumerate(row, 1)]


def _value(cell: Any, merged: str | None) -> Any:
    if merged is not None:
        return Fault(what=f"merged cells ({merged})")
    if cell.data_type == "f":
        return Fault(what=f"a formula ({str(cell.value)[:40]})")
    if cell.data_type == "e":
        return Fault(what=f"an error ({cell.value})")
    value = cell.value
    return (value.strip() or None) if isinstance(value, str) else value
