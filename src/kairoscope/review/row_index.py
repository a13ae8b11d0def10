"""Rows of a JSON lines file by key, read again from the disk when they are wanted. Pure."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kairoscope.core import UserError


class RowIndex:
    """Where each row begins; of rows with equal keys the first, as `Run.rows` has it.

    The file must not be replaced while the index is used.
    """

    def __init__(self, path: Path, key: str = "clip") -> None:
        self.path = path
        self.key = key
        self._places: dict[str, int] = {}

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row once, one in memory at a time; fills the index."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            place = 0
            for line in file:
                here, place = place, place + len(line)
                if not line.endswith(b"\n"):
                    continue  # torn by a kill
                row = self._parsed(line)
                if row.get(self.key) is not None and row[self.key] not in self._places:
                    self._places[row[self.key]] = here
                    yield row

    def get(self, key: str) -> dict[str, Any] | None:
        """The row of a key; None where there is none. `rows` must have been gone through."""
        place = self._places.get(key)
        if place is None:
            return None
        with self.path.open("rb") as file:
            file.seek(place)
            return self._parsed(file.readline())

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{self.path}: is not JSON lines ({error})") from error
        if not isinstance(row, dict):
            raise UserError(f"{self.path}: must hold JSON objects, holds {line[:60]!r}")
        return row
