"""Which episodes a dataset lists: `episodes.jsonl` (v2), `episodes/*.parquet` (v3), or its files.

A folder may hold fewer episodes than are listed, and more. What is listed comes first; data files
that no list names are added.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kairoscope.core import UserError
from kairoscope.robot.lerobot.info import Info

EPISODES_V2 = "meta/episodes.jsonl"
EPISODES_V3 = "meta/episodes"
Fields = Mapping[str, Any]
DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises on a damaged file; text in it that is not UTF-8 is the last."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Episodes by index, in order, with what their row of the list says."""

    rows: "Mapping[int, Fields] | ParquetRows"
    notes: tuple[str, ...] = ()

    @property
    def indices(self) -> Sequence[int]:
        """Episode indices in ascending order."""
        return tuple(self.rows)


class ParquetRows(Mapping[int, Fields]):
    """Rows of parquet files by `episode_index`, turned into Python only when they are asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        indices = table.column("episode_index").to_pylist()
        self._place = dict(sorted((i, place) for place, i in enumerate(indices) if i is not None))

    def __getitem__(self, index: int) -> Fields:
        try:
            row: Fields = self._table.slice(self._place[index], 1).to_pylist()[0]
        except UnicodeDecodeError:
            return {}  # without a file of its own it is unreadable, and named
        return row

    def __iter__(self) -> Iterator[int]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)


def read_listing(info: Info) -> Listing:
    """What the dataset lists. Raises UserError where there is neither a list nor a data file."""
    listed = _listed_v3(info) if info.layout == 3 else _listed_v2(info)
    if listed.rows and info.layout == 3:
        return listed
    extra = _from_files(info, listed.rows)
    if not listed.rows and not extra:
        where = EPISODES_V3 if info.layout == 3 else EPISODES_V2
        raise UserError(f"{info.root}: no episodes: {where} lists none and there are no data files")
    if not extra:
        return listed
    note = f"{len(extra)} data files hold episodes that no list names, from episode {min(extra)}"
    rows = dict(sorted({**listed.rows, **extra}.items()))
    return Listing(rows, (*listed.notes, note))


def _listed_v2(info: Info) -> Listing:
    rows: dict[int, Fields] = {}
    notes: list[str] = []
    for number, row in json_lines(info.root / EPISODES_V2, notes):
        index = row.get("episode_index")
        if type(index) is not int or index < 0 or index in rows:
            twice = isinstance(index, int) and index in rows
            odd = "is listed twice" if twice else "is not a whole number from 0"
            notes.append(f"{EPISODES_V2}, line {number}: episode_index {index!r} {odd}: left out")
            continue
        rows[index] = row
    return Listing(dict(sorted(rows.items())), tuple(notes))


def json_lines(path: Path, notes: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, row) of the lines that are JSON objects; the others become notes. Absent: none."""
    name = f"meta/{path.name}"
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        notes.append(f"{name} is missing")
        return
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            notes.append(f"{name}, line {number}: is not JSON ({error}): left out")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            notes.append(f"{name}, line {number}: is not a JSON object: left out")


def _listed_v3(info: Info) -> Listing:
    tables: list[pa.Table] = []
    notes: list[str] = []
    for path in episode_files(info.root):
        name = path.relative_to(info.root).as_posix()
        try:
            file = pq.ParquetFile(path)
            wanted = [c for c in file.schema_arrow.names if not c.startswith("stats/")]
            table = file.read(columns=wanted)
        except DAMAGE as error:
            notes.append(
                f"{name}: cannot be read ({_first_line(error)}): its episodes are left out"
            )
            continue
        if "episode_index" not in wanted:
            notes.append(f"{name}: has no column episode_index: its episodes are left out")
            continue
        tables.append(table)
    if not tables:
        return Listing({}, (*notes, f"{EPISODES_V3} lists no episode"))
    try:
        joined = pa.concat_tables(tables, promote_options="permissive")
    except DAMAGE as error:
        raise UserError(
            f"{info.root / EPISODES_V3}: the files do not agree on their columns ({_first_line(error)})"
        ) from error
    return Listing(ParquetRows(joined), tuple(notes))


def episode_files(root: Path) -> list[Path]:
    """The parquet files of `meta/episodes`, in order."""
    return sorted((root / EPISODES_V3).glob("*/*.parquet"))


def data_files(info: Info) -> list[Path]:
    """The parquet files that fit the template of data files, in order."""
    pattern = re.sub(r"\{[^{}]*\}", "*", info.data_path)
    if ".." in Path(pattern).parts or Path(pattern).is_absolute():
        raise UserError(f"{info.root}: data_path leads out of the dataset: {info.data_path!r}")
    return sorted(info.root.glob(pattern))


def _from_files(info: Info, listed: Mapping[int, Fields]) -> dict[int, Fields]:
    """Episodes that only the data files know."""
    found: dict[int, Fields] = {}
    for path in data_files(info):
        if info.layout == 3:
            place = _v3_place(info, path)
            found.update(dict.fromkeys(_episodes_in(path), place) if place else {})
            continue
        numbers = re.findall(r"\d+", path.stem)
        if numbers and int(numbers[-1]) not in listed:
            found[int(numbers[-1])] = {}
    return found


def _v3_place(info: Info, path: Path) -> Fields | None:
    numbers = re.findall(r"\d+", path.relative_to(info.root).as_posix())
    if len(numbers) < 2:
        return None
    return {"data/chunk_index": int(numbers[-2]), "data/file_index": int(numbers[-1])}


def _episodes_in(path: Path) -> list[int]:
    try:
        column = pq.ParquetFile(path).read(columns=["episode_index"]).column(0)
    except (*DAMAGE, IndexError):
        return []  # the file is named again when an episode of it is read
    return sorted({index for index in column.unique().to_pylist() if index is not None})


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
