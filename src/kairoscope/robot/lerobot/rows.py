"""Rows of an episode from the parquet files, and their columns as arrays of numbers.

v2 keeps an episode in a file of its own, v3 many in one: the rows of an episode are found by the
column `episode_index`, and the last row group that was read is kept, because episodes are read in
order. Columns of pictures are read only when they are asked for.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.lerobot.info import Info
from kairoscope.robot.lerobot.listing import DAMAGE, Fields

LANGUAGE = ("language_persistent", "language_events")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises on an absent or damaged file into UnreadableEpisode that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise UnreadableEpisode(f"{path}: is missing") from error
    except DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnreadableEpisode(f"{path}: cannot be read ({reason})") from error


def data_path(info: Info, index: int, fields: Fields) -> Path:
    """The parquet file of an episode. Raises UnreadableEpisode where its row does not name one."""
    if info.layout == 2:
        chunk = index // info.chunk_size
        return info.data_file(episode_chunk=chunk, episode_index=index)
    place = [fields.get(f"data/{what}_index") for what in ("chunk", "file")]
    if not all(isinstance(number, int) for number in place):
        raise UnreadableEpisode(
            f"{info.root}: episode {index}: data/chunk_index and data/file_index are {place}"
        )
    return info.data_file(chunk_index=place[0], file_index=place[1])


@dataclass(slots=True)
class DataFile:
    """An opened parquet file, and the row group of it that was read last."""

    path: Path
    file: Any = field(init=False)
    first_rows: list[int] = field(init=False)
    """Of each row group, and the number of all rows."""
    _spans: tuple[dict[int, tuple[int, int]], set[int]] | None = None
    _last: tuple[int, tuple[str, ...], Any] | None = None

    def __post_init__(self) -> None:
        with readable(self.path):
            self.file = pq.ParquetFile(self.path)
            metadata = self.file.metadata
            counts = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
        self.first_rows = [0, *accumulate(counts)]

    @property
    def num_rows(self) -> int:
        """Of the whole file."""
        return self.first_rows[-1]

    def spans(self) -> tuple[dict[int, tuple[int, int]], set[int]]:
        """First row and end of each episode, by the column `episode_index`; and the episodes whose
        rows do not lie together.
        """
        if self._spans is None:
            self._spans = self._find_spans()
        return self._spans

    def _find_spans(self) -> tuple[dict[int, tuple[int, int]], set[int]]:
        found: dict[int, tuple[int, int]] = {}
        torn: set[int] = set()
        name = "episode_index"
        if name not in self.file.schema_arrow.names:
            return found, torn
        with readable(self.path):
            column = self.file.read(columns=[name], use_threads=False).column(0)
        if column.null_count:
            return found, torn
        indices = np.asarray(column.to_numpy()).reshape(-1)
        starts = np.flatnonzero(np.diff(indices, prepend=indices[:1] - 1)).tolist()
        for start, end in pairwise([*starts, self.num_rows]):
            index = int(indices[start])
            if index in found:
                torn.add(index)
            found.setdefault(index, (start, end))
        return found, torn

    def columns(self, wanted: Collection[str] | None) -> list[str]:
        """Columns to read: `wanted`, or all but pictures and text."""
        schema = self.file.schema_arrow
        if wanted is not None:
            return [name for name in schema.names if name in wanted]
        always = ("timestamp", *LANGUAGE)
        return [f.name for f in schema if is_numeric(f.type) or f.name in always]

    def rows(self, start: int, end: int, wanted: Collection[str] | None) -> pa.Table:
        """Rows from `start` up to `end`."""
        names = self.columns(wanted)
        found = []
        group = max(0, bisect_right(self.first_rows, start) - 1)
        while group < len(self.first_rows) - 1 and self.first_rows[group] < end:
            first, last = self.first_rows[group : group + 2]
            low, high = max(start, first), min(end, last)
            if high > low:
                found.append(self._group(group, names).slice(low - first, high - low))
            group += 1
        return pa.concat_tables(found) if found else self.file.schema_arrow.empty_table()

    def _group(self, group: int, names: list[str]) -> pa.Table:
        if self._last is None or self._last[:2] != (group, tuple(names)):
            with readable(self.path):
                table = self.file.read_row_group(group, columns=names, use_threads=False)
            self._last = (group, tuple(names), table)
        return self._last[2]


@dataclass(slots=True)
class DataFiles:
    """The parquet files of a dataset, the last one kept open."""

    info: Info
    _last: DataFile | None = None

    def rows(self, index: int, fields: Fields, wanted: Collection[str] | None = None) -> pa.Table:
        """All rows of an episode. Raises UnreadableEpisode where there are none."""
        path = data_path(self.info, index, fields)
        if self._last is None or self._last.path != path:
            self._last = DataFile(path)
        file = self._last
        start, end = (0, file.num_rows) if self.info.layout == 2 else _span(file, index)
        if start == end:
            raise UnreadableEpisode(f"{path}: has no rows")
        return file.rows(start, end, wanted)


def _span(file: DataFile, index: int) -> tuple[int, int]:
    spans, torn = file.spans()
    if index in torn:
        raise UnreadableEpisode(f"{file.path}: the rows of episode {index} do not lie together")
    if index not in spans:
        raise UnreadableEpisode(f"{file.path}: has no rows of episode {index}")
    return spans[index]


def is_numeric(kind: Any) -> bool:
    """Whether an Arrow type is a number, a truth value or (nested) lists of them."""
    while _is_list(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def values(table: pa.Table, name: str) -> NDArray[np.float64] | str:
    """(T, D): a column of numbers, nested lists flattened; or, in words, why it is not one."""
    column = table.column(name)
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if not is_numeric(array.type):
        return f"holds {array.type}, not numbers"
    while _is_list(array.type):
        if array.null_count:
            return f"has {array.null_count} empty rows"
        lengths: Sequence[int] = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(lengths) > 1:
            return f"has rows of different lengths, {min(lengths)} to {max(lengths)}"
        array = array.flatten()
    flat = pc.cast(array, pa.float64()) if array.null_count else array
    found = np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.float64)
    return found.reshape(table.num_rows, -1)
