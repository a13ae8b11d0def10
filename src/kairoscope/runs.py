"""Run directories: what was asked, on which machine, and every finished piece, resumable at any time.

    config.json        format, kind and resolved settings; a folder belongs to one such config
    environment.json   versions, platform and command line of the first and of later sessions
    *.jsonl            append-only rows, such as records.jsonl
    *.json, *.html     what was computed from them; written whole or not at all

One process writes a run at a time. Under `torchrun` only rank 0 opens it.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from os.path import relpath
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kairoscope.core import Record, UserError
from kairoscope.environment import environment
from kairoscope.json_lines import (
    append_lines,
    cut_torn_line,
    drop_lines,
    read_lines,
    read_lines_ordered,
)
from kairoscope.records import record_from_json
from kairoscope.run_folders import check_folder, check_same, clear_folder, read_config, write_config
from kairoscope.storage import (
    clear_torn,
    plain,
    read_json,
    storage_error,
    take_lock,
    write_json_atomic,
)

RECORD_KEY = ("sample_id", "trial")


@dataclasses.dataclass(slots=True)
class Run:
    """A run directory. Make one with `Run.open` (to write) or `Run.read` (to look)."""

    path: Path
    kind: str
    """What wrote it, such as `evaluation`, `sft`, `annotation`, `recipe`."""
    config: dict[str, Any]
    """Resolved settings as JSON values."""
    _lock: int | None = None

    @classmethod
    def open(cls, path: Path, *, kind: str, config: Any, fresh: bool = False) -> Self:
        """Make the folder, or go on in it where it holds a run of the same kind and config.

        `config` is anything `storage.plain` takes; what it holds decides whether two runs are the
        same, so settings that cannot change a result (worker counts, say) stay out of it.
        `fresh` throws away everything in the folder of an earlier run, whatever its config.
        Raises `UserError` for another run's folder, for a folder with something else in it, where
        another process writes the run, and where the folder cannot be written.
        """
        wanted: dict[str, Any] = plain(config)
        check_folder(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = take_lock(path)
        except OSError as error:
            raise storage_error(error, path) from error
        run = cls(path=path, kind=kind, config=wanted, _lock=lock)
        try:
            run._settle(fresh=fresh)
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open a run to look at it: takes no lock and writes nothing. `UserError` if it is none."""
        kind, config = read_config(path)
        return cls(path=path, kind=kind, config=config)

    def _settle(self, *, fresh: bool) -> None:
        """Claim the locked folder: clear it, or check it, and cut lines torn by a kill."""
        if fresh:
            clear_folder(self.path)
        try:
            if (self.path / "config.json").exists():
                check_same(self.path, self.kind, self.config)
            else:
                write_config(self.path, self.kind, self.config)
            for file in self.path.glob("*.jsonl"):
                cut_torn_line(file)
            clear_torn(self.path)
        except OSError as error:
            raise storage_error(error, self.path / "config.json") from error
        self._note_environment()

    def _note_environment(self) -> None:
        """Keep the first session's environment; a later one with other versions is added to it."""
        file = self.path / "environment.json"
        now = environment()
        if not file.exists():
            write_json_atomic(file, {**now, "resumed": []})
            return
        kept = read_json(file)
        if not isinstance(kept, dict):
            raise UserError(f"{file}: was not written by kairoscope; choose another --out")
        found = kept.get("resumed")
        later = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        last = later[-1] if later else kept
        if any(last.get(key) != now[key] for key in ("versions", "platform", "command")):
            write_json_atomic(file, {**kept, "resumed": [*later, now]})

    def file(self, name: str) -> Path:
        """Path of a record file: `records` -> `records.jsonl`."""
        return self.path / f"{name}.jsonl"

    def path_to(self, file: Path) -> str:
        """A file as seen from the run's folder, so that both can be moved together.

        Whatever the working directory is, and through links to folders; a link to the file stays one.
        """
        absolute = file.parent.resolve() / file.name
        return Path(relpath(absolute, self.path.resolve())).as_posix()

    def append(self, name: str, row: Any) -> None:
        """Add one row. On disk for good when this returns, short of a power cut."""
        self.append_all(name, (row,))

    def append_all(self, name: str, rows: Sequence[Any]) -> None:
        """Add rows that belong together in one write: after a kill at most the last is torn."""
        self._check_writable()
        append_lines(self.file(name), rows)

    def forget(self, name: str, unwanted: Callable[[dict[str, Any]], bool]) -> int:
        """Take rows out, as those of clips that are to be tried again; returns how many."""
        self._check_writable()
        return drop_lines(self.file(name), unwanted)

    def rows(self, name: str, key: Sequence[str] = RECORD_KEY) -> Iterator[dict[str, Any]]:
        """Rows in the order of their writing, one at a time; of rows with equal keys the first.

        `key` names the fields that tell rows apart; a row without one of them is always kept.
        """
        seen: set[Hashable] = set()
        for row in read_lines(self.file(name)):
            row_key = _key(row, key)
            if row_key is None or row_key not in seen:
                seen.add(row_key)
                yield row

    def rows_ordered(
        self, name: str, field: str, order: Iterable[Hashable]
    ) -> Iterator[dict[str, Any]]:
        """`rows` told apart by one field, in a given order of its values, one at a time."""
        return read_lines_ordered(self.file(name), field, order)

    def records(self, name: str, key: Sequence[str] = RECORD_KEY) -> list[dict[str, Any]]:
        """`rows` as a list."""
        return list(self.rows(name, key))

    def done_keys(self, name: str, key: Sequence[str] = RECORD_KEY) -> set[tuple[Any, ...]]:
        """The keys of the finished rows, `(sample_id, trial)` unless told otherwise."""
        keys = (_key(row, key) for row in read_lines(self.file(name)))
        return {found for found in keys if found is not None}

    def write_json(self, name: str, value: Any) -> None:
        """Write `name` (with its `.json`) whole or not at all."""
        self._check_writable()
        write_json_atomic(self.path / name, value)

    def read_json(self, name: str) -> Any:
        """What `write_json` wrote, or None where it was not written."""
        file = self.path / name
        return read_json(file) if file.exists() else None

    def close(self) -> None:
        """Let other processes write the run. Harmless when done twice."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.truncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check_writable(self) -> None:
        if self._lock is None:
            raise ValueError(f"{self.path} was opened to be read, or closed")


def _key(row: Mapping[str, Any], fields: Sequence[str]) -> tuple[Any, ...] | None:
    return tuple(row[f] for f in fields) if all(f in row for f in fields) else None


def read_metrics(run: Run) -> dict[str, Any] | None:
    """What an evaluation came to, or None where it has not ended. Raises `UserError` for anything else."""
    found = run.read_json("metrics.json")
    if found is not None and not (isinstance(found, dict) and "n_clips" in found):
        raise UserError(f"{run.path / 'metrics.json'}: not the metrics of an evaluation")
    return found


def records_of(run: Run, name: str = "records", *, slim: bool = False) -> Iterator[Record]:
    """The answers in a run, one at a time, in the order of their writing.

    `slim` leaves out posteriors and frame times, which are most of a record. Raises `UserError` for a
    row that is none.
    """
    dropped: dict[str, Any] = {"frame_times_s": (), "posteriors": ()} if slim else {}
    for row in run.rows(name):
        try:
            yield record_from_json({**row, **dropped})
        except UserError as error:
            raise UserError(f"{run.file(name)}: {error}") from error


def read_records(run: Run, name: str = "records") -> list[Record]:
    """`records_of`, slim, sorted by sample and trial, whatever order they were made in."""
    records = records_of(run, name, slim=True)
    return sorted(records, key=lambda record: (record.sample_id, record.trial))
