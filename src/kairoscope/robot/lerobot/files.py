"""Copying a dataset's files and rewriting single ones, each whole or not at all.

A file that would not change is not touched, so that a second run leaves even times of change alone.
"""

import contextlib
import filecmp
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kairoscope.core import UserError
from kairoscope.robot.lerobot.labels import MARKS
from kairoscope.robot.replacing import sweep
from kairoscope.storage import storage_error, sync

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".webm"})


def check_target(source: Path, out: Path) -> None:
    """Raise UserError where a copy of `source` may not be written to `out`."""
    here, there = source.resolve(), out.resolve()
    if here == there:
        raise UserError(f"{out}: is the dataset itself; choose another folder, or in_place")
    if here in there.parents or there in here.parents:
        raise UserError(f"{out}: must not lie in {source}, nor the other way round")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; a dataset is a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / MARKS).is_file():
        raise UserError(f"{out}: is not empty, and is not a dataset that Kairoscope wrote")


def source_files(root: Path) -> Iterator[Path]:
    """Files of a dataset, relative to it, in order; links are followed, hidden files left out."""
    seen: set[Path] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        if real in seen:
            folders.clear()  # a link that leads back up
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield (Path(folder) / name).relative_to(root)


def copy_file(source: Path, target: Path, *, link: bool = True) -> None:
    """Give a copy the same file: videos as hard links where the disk can, the rest copied.

    With `link` False, videos are copied, too. What is not a video is never linked, because other tools rewrite such files in place. Raises
    UserError where the disk is full or may not be written.
    """
    source = source.resolve()
    if _is_same(source, target):
        return
    if link and source.suffix.lower() in VIDEO_SUFFIXES:
        with atomically(target) as temporary, contextlib.suppress(OSError):
            os.link(source, temporary)
            return
    with atomically(target) as temporary:
        shutil.copy2(source, temporary)


def _is_same(source: Path, target: Path) -> bool:
    """Whether a file has been linked or copied before, by size and time of change."""
    if not target.is_file():
        return False
    here, there = source.stat(), target.stat()
    return here.st_size == there.st_size and here.st_mtime_ns == there.st_mtime_ns


@contextmanager
def atomically(target: Path) -> Iterator[Path]:
    """A path to write to; it becomes `target` at the end, unless `target` already holds the same.

    Nothing is left where writing fails. Raises UserError where the disk is full or read-only.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target)
        temporary.unlink(missing_ok=True)
        yield temporary
        if not temporary.exists():
            return
        if target.is_file() and filecmp.cmp(temporary, target, shallow=False):
            temporary.unlink()
            return
        sync(temporary)
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:  # not a damaged parquet file
            raise storage_error(error, target) from error
        raise


def write_text(target: Path, text: str) -> None:
    """Write a text file, whole, unless it holds this text already."""
    write_bytes(target, text.encode("utf-8", "backslashreplace"))


def write_bytes(target: Path, data: bytes) -> None:
    """Write a file, whole, unless it holds this already."""
    with atomically(target) as temporary:
        temporary.write_bytes(data)


def rewrite(source: Path, target: Path, columns: Mapping[str, Any]) -> None:
    """Write a parquet file again with columns replaced or added, one row group at a time.

    Args:
        source: the file to take everything else from.
        target: may be `source`.
        columns: an Arrow array of all rows by name. Order, types, row groups, compression and
            metadata of the other columns stay as they are.

    Raises `pyarrow.ArrowException` or OSError where the source is damaged, UserError where the
    target cannot be written.
    """
    with pq.ParquetFile(source) as file:
        schema = file.schema_arrow
        for name, array in columns.items():
            place = schema.get_field_index(name)
            field = pa.field(name, array.type)
            schema = schema.append(field) if place < 0 else schema.set(place, field)
        metadata = file.metadata
        is_empty = not metadata.num_row_groups or not metadata.num_columns
        codec = "snappy" if is_empty else metadata.row_group(0).column(0).compression
        with (
            atomically(target) as temporary,
            pq.ParquetWriter(temporary, schema, compression=codec.lower()) as writer,
        ):
            first = 0
            for group in range(metadata.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                arrays = [
                    columns[name].slice(first, table.num_rows)
                    if name in columns
                    else table.column(name)
                    for name in schema.names
                ]
                writer.write_table(
                    pa.Table.from_arrays(arrays, schema=schema), row_group_size=table.num_rows
                )
                first += table.num_rows


def unchanged(source: Path, columns: Mapping[str, Any]) -> bool:
    """Whether a parquet file already holds these columns, type and values."""
    with pq.ParquetFile(source) as file:
        names: Collection[str] = file.schema_arrow.names
        if not set(columns) <= set(names):
            return False
        table = file.read(columns=list(columns), use_threads=False)
    return all(
        table.column(name).type == array.type
        and table.column(name).equals(pa.chunked_array([array]))
        for name, array in columns.items()
    )
