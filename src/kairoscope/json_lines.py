"""Append-only JSON lines that survive `kill -9` and a full disk.

A line is appended with one `write` on a descriptor opened with `O_APPEND`, so a killed process loses
at most the line it was writing. A reader leaves such a torn last line out; a writer cuts it off
before it goes on.
"""

import errno
import json
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.storage import canonical_json, storage_error, whole_file


def append_lines(path: Path, rows: Sequence[Any]) -> None:
    """Append rows as JSON lines in one `write`; all of them are in the file, or none is.

    Where the disk takes only a part, that part is cut off again and a `UserError` is raised.
    """
    data = "".join(canonical_json(row) + "\n" for row in rows).encode("utf-8")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _write_whole(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_error(error, path) from error


def _write_whole(descriptor: int, data: bytes) -> None:
    """One `write` of everything; undone where the file system takes less."""
    before = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, data)
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(descriptor, before)
        raise


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSON lines file, one at a time; an absent file has none.

    A torn last line is left out. Raises `UserError` with the line's number where a whole line is
    not a JSON object.
    """
    for number, _, line in _whole_lines(path):
        yield _row(line, path, number)


def read_lines_ordered(
    path: Path, field: str, order: Iterable[Hashable]
) -> Iterator[dict[str, Any]]:
    """Rows whose `field` has the values of `order`, in that order, one row in memory at a time.

    Of rows with equal values the first; values without a row are passed over. Raises as `read_lines`.
    """
    index = LineIndex(path, field)
    for _ in index.rows():
        pass
    for value in order:
        row = index.get(value)
        if row is not None:
            yield row


class LineIndex:
    """Rows of a JSON lines file by the value of a field, read again from the disk when they are wanted.

    Of rows with equal values the first counts. The file must not be replaced while this is used.
    """

    def __init__(self, path: Path, field: str) -> None:
        """Of `path`, which may be absent, and has no rows then."""
        self.path = path
        self.field = field
        self._places: dict[Hashable, tuple[int, int]] = {}

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row once, one in memory at a time; fills the index. Raises as `read_lines`."""
        for number, offset, line in _whole_lines(self.path):
            row = _row(line, self.path, number)
            value = row.get(self.field)
            if value is not None and value not in self._places:
                self._places[value] = number, offset
                yield row

    def get(self, value: Hashable) -> dict[str, Any] | None:
        """The row of a value; None where there is none. `rows` must have been gone through."""
        if value not in self._places:
            return None
        number, offset = self._places[value]
        with self.path.open("rb") as file:
            file.seek(offset)
            return _row(file.readline(), self.path, number)


def _whole_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """(1-based number, first byte, line) of every line but a torn last one; none where there is no file."""
    try:
        with path.open("rb") as file:
            offset = 0
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield number, offset, line
                offset += len(line)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def _row(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: is not JSON ({error})") from error
    if not isinstance(row, dict):
        raise UserError(f"{path}, line {number}: must be a JSON object, is {line[:60]!r}")
    return row


def drop_lines(path: Path, unwanted: Callable[[dict[str, Any]], bool]) -> int:
    """Take rows out of a JSON lines file and return how many; the others keep their bytes.

    The file is replaced whole or left as it is, one row in memory at a time.
    """
    dropped = sum(unwanted(row) for row in read_lines(path))
    if not dropped:
        return 0
    with whole_file(path) as temporary, path.open("rb") as old, temporary.open("wb") as new:
        for number, line in enumerate(old, start=1):
            if not unwanted(_row(line, path, number)):
                new.write(line)
    return dropped


def cut_torn_line(path: Path) -> int:
    """Cut what follows the last line end and return how many bytes that was.

    To be called before the first append of a process that has the file for itself.
    """
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    return len(data) - whole
