"""Rows that show whether they are as they were written, so that a damaged one is made again."""

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from kairoscope.runs import Run
from kairoscope.storage import canonical_json, storage_error, whole_file, write_text_atomic

SEAL = "seal"


def sealed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with a checksum of all that is in it."""
    return {**row, SEAL: _checksum(row)}


def is_whole(row: Any) -> bool:
    """Whether a row that was read is the one that was written."""
    return isinstance(row, dict) and row.get(SEAL) == _checksum(row)


def _checksum(row: Mapping[str, Any]) -> str:
    text = canonical_json({key: value for key, value in row.items() if key != SEAL})
    return blake2b(text.encode("utf-8"), digest_size=8).hexdigest()


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """JSON lines, the whole new file or the old one, one row in memory at a time."""
    write_text_atomic(path, (canonical_json(row) + "\n" for row in rows))


def mend(run: Run, name: str) -> int:
    """Take the rows out of a file that are not as they were written; returns how many.

    What cannot be read as a row at all is one. The file is replaced as a whole, or not touched.
    Raises UserError where it cannot be written.
    """
    path = run.file(name)
    if not path.exists():
        return 0
    num_damaged = sum(line is None for line in _whole_lines(path))
    if not num_damaged:
        return 0
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.writelines(line for line in _whole_lines(path) if line is not None)
    return num_damaged


def _whole_lines(path: Path) -> Iterator[bytes | None]:
    """Every line, None in the place of a damaged one."""
    try:
        with path.open("rb") as file:
            for line in file:
                yield line if _is_row(line) else None
    except OSError as error:
        raise storage_error(error, path) from error


def _is_row(line: bytes) -> bool:
    try:
        return is_whole(json.loads(line))
    except (ValueError, RecursionError):  # canonical_json refuses numbers that are not finite
        return False
