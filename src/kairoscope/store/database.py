"""The file in which answers are kept: SQLite, for any number of processes, safe at `kill -9`.

A row is one answer to one question in one trial, compressed, with a hash over it: one that is not as
it was written is thrown away and asked for again. A damaged file is moved aside by name; that of a
newer version is left alone, and this version keeps its own beside it. Trouble with the disk never
ends a run, which holds its answers itself: the store says why and stays out of use.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from kairoscope.core import Completion, UserError
from kairoscope.store.files import FORMAT, Kind, kind_of, move_aside
from kairoscope.store.packing import DamagedAnswer, pack, printable, seal, unpack
from kairoscope.store.places import is_on_network
from kairoscope.store.schema import ROW_BYTES, connect, transaction, used_bytes

CAP_BYTES = 2**30
"""From here on, the oldest answers that cost nothing but time are thrown away."""
CHECK_EVERY = 2048
"""Answers written between looks at the size."""
LEFT = 0.8
"""Share of the cap that is left when some had to go."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asked what: rows are shown and cleared by it, not found by it."""

    model: str
    identity: str
    task: str
    is_paid: bool = False
    """Its answers are never thrown away for want of room."""


@dataclass(slots=True)
class Count:
    """Answers, one a trial."""

    stored: int = 0
    asked: int = 0
    unkept: int = 0
    """Asked, and not kept: the clip was changed meanwhile, or the store is out of use."""


@dataclass(slots=True)
class AnswerStore:
    """A store; `AnswerStore.open` makes or opens one. Threads may share it, forks may not."""

    path: Path
    cap_bytes: int = CAP_BYTES
    trouble: str | None = None
    """Why it is out of use, or None."""
    notes: tuple[str, ...] = ()
    """What the user should hear: a file moved aside, or left alone."""
    num_damaged: int = 0
    """Rows that were not as they were written."""
    counts: list[Count] = field(default_factory=list)
    """Of every model that was put behind it since it was opened."""
    _connection: sqlite3.Connection | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _written: int = 0

    @classmethod
    def open(cls, path: Path, *, cap_bytes: int = CAP_BYTES) -> Self:
        """Open the file, made where it is not there.

        Raises `UserError` for something else at the path that is not ours to move, and where nothing
        can be written.
        """
        store = cls(path=path.expanduser(), cap_bytes=cap_bytes)
        try:
            store.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            store._settle()
        except (OSError, sqlite3.OperationalError) as error:
            raise UserError(
                f"{store.path}: cannot be used as a store of answers ({_words(error)}); name another "
                "with --store, or go without: --no-store"
            ) from error
        return store

    def _settle(self) -> None:
        """Connect, after stepping aside for a newer version's file, or moving a damaged one."""
        if kind_of(self.path) is Kind.NEWER:
            newer = self.path
            self.path = newer.with_name(f"{newer.stem}.format-{FORMAT}{newer.suffix}")
            self._note(
                f"{newer} was written by a newer version and is left as it is; this one keeps its "
                f"answers in {self.path}"
            )
        kind = kind_of(self.path)
        if kind is Kind.FOREIGN or kind is Kind.NEWER:
            raise UserError(
                f"{self.path}: is no store of answers, and is left as it is; name another file with "
                "--store, or go without: --no-store"
            )
        if kind is Kind.DAMAGED:
            self._move_aside("it is no database")
        try:
            self._connect()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            self._move_aside(_words(error))
            self._connect()

    def _connect(self) -> None:
        self._connection = connect(self.path, is_shared=is_on_network(self.path))

    def _move_aside(self, why: str) -> None:
        self._disconnect()
        aside = move_aside(self.path)
        if aside is not None:
            self._note(f"{self.path} is damaged ({why}): moved to {aside.name}, and begun anew")

    def _note(self, text: str) -> None:
        self.notes = (*self.notes, text)

    # --- answers -------------------------------------------------------------------------------

    def get(self, key: bytes, trials: Sequence[int]) -> dict[int, tuple[Completion, str | None]]:
        """Trial -> (answer, digest of its grammar), of those that are here and undamaged."""

        def read(db: sqlite3.Connection) -> list[tuple[int, bytes, bytes]]:
            return db.execute(
                "SELECT trial, body, seal FROM answers WHERE key = ? AND trial BETWEEN ? AND ?",
                (key, min(trials), max(trials)),
            ).fetchall()

        found: dict[int, tuple[Completion, str | None]] = {}
        for trial, body, sealed in self._with(read) or ():
            try:
                if seal(key, trial, body) != sealed:
                    raise DamagedAnswer("is not as it was written")
                found[trial] = unpack(body)
            except (DamagedAnswer, TypeError):
                self.num_damaged += 1
                self.drop(key, trial)
        return found

    def put(
        self, key: bytes, answers: Sequence[tuple[Completion, str | None]], asker: Asker
    ) -> None:
        """Keep answers, each with the digest of its grammar: all of them or none.

        What another process has kept meanwhile stays.
        """
        bodies = [(completion.trial, pack(completion, digest)) for completion, digest in answers]
        now = time.time()

        def write(db: sqlite3.Connection) -> bool:
            with transaction(db):
                number = _number(db, asker)
                db.executemany(
                    "INSERT INTO answers (key, trial, asker, made_at, body, seal) "
                    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    [(key, t, number, now, body, seal(key, t, body)) for t, body in bodies],
                )
            return True

        self._with(write)
        self._written += len(bodies)
        if self._written >= CHECK_EVERY:
            self.keep_to_cap()

    def drop(self, key: bytes, trial: int) -> None:
        """Forget one answer."""
        self._with(
            lambda db: db.execute("DELETE FROM answers WHERE key = ? AND trial = ?", (key, trial))
        )

    # --- looking after it ----------------------------------------------------------------------

    def summary(self) -> list[dict[str, Any]]:
        """A row for each model and task: answers, questions, bytes, oldest and newest in s since 1970."""
        rows = self._with(
            lambda db: db.execute(
                "SELECT model, identity, task, paid, count(*), count(DISTINCT key), "
                "sum(length(body)), min(made_at), max(made_at) "
                "FROM answers JOIN askers ON asker = askers.id GROUP BY askers.id "
                "ORDER BY max(made_at) DESC"
            ).fetchall()
        )
        names = ("model", "identity", "task", "is_paid", "answers", "questions", "bytes")
        return [dict(zip((*names, "oldest_s", "newest_s"), row, strict=True)) for row in rows or ()]

    def clear(self, *, model: str | None = None, older_than_s: float | None = None) -> int:
        """Forget answers of a model (by name or identity), or of an age, or all; returns how many."""
        conditions, values = ["1"], list[Any]()
        if model is not None:
            conditions.append("asker IN (SELECT id FROM askers WHERE model = ? OR identity = ?)")
            values += [printable(model)] * 2
        if older_than_s is not None:
            conditions.append("made_at < ?")
            values.append(time.time() - older_than_s)

        def delete(db: sqlite3.Connection) -> int:
            with transaction(db):
                gone = db.execute(f"DELETE FROM answers WHERE {' AND '.join(conditions)}", values)
                db.execute("DELETE FROM askers WHERE id NOT IN (SELECT asker FROM answers)")
            with contextlib.suppress(sqlite3.OperationalError):  # another process is at work
                db.execute("VACUUM")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return gone.rowcount

        return self._with(delete) or 0

    def num_bytes(self) -> int:
        """Of the file and of what is still in its log."""
        parts = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def keep_to_cap(self) -> int:
        """Throw away the oldest answers that were not paid for where there are too many bytes."""
        self._written = 0

        def evict(db: sqlite3.Connection) -> int:
            used = used_bytes(db)
            if used <= self.cap_bytes:
                return 0
            too_much, gone = used - self.cap_bytes * LEFT, []
            for row, size in db.execute(
                "SELECT answers.rowid, length(body) FROM answers JOIN askers ON asker = askers.id "
                "WHERE paid = 0 ORDER BY made_at, answers.rowid"
            ):
                if too_much <= 0:
                    break
                gone.append((row,))
                too_much -= size + ROW_BYTES
            with transaction(db):
                db.executemany("DELETE FROM answers WHERE rowid = ?", gone)
            return len(gone)

        return self._with(evict) or 0

    def close(self) -> None:
        """Keep to the cap and let go of the file. Harmless when done twice."""
        if self._connection is not None:
            self.keep_to_cap()
        self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _with(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do something with the file; None where it is out of use, now or from now on."""
        with self._lock:
            for has_begun_anew in (False, True):
                if self._connection is None:
                    return None
                try:
                    return work(self._connection)
                except sqlite3.OperationalError as error:
                    self._give_up(error)
                except sqlite3.DatabaseError as error:
                    if has_begun_anew:
                        self._give_up(error)
                    else:
                        self._begin_anew(error)
        return None

    def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        try:
            self._move_aside(_words(error))
            self._connect()
        except (OSError, sqlite3.Error) as another:
            self._give_up(another)

    def _give_up(self, error: Exception) -> None:
        self.trouble = _words(error)
        self._disconnect()


def _number(db: sqlite3.Connection, asker: Asker) -> int:
    row = (printable(asker.model), asker.identity, asker.task, int(asker.is_paid))
    db.execute(
        "INSERT INTO askers (model, identity, task, paid) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        row,
    )
    found = db.execute(
        "SELECT id FROM askers WHERE model = ? AND identity = ? AND task = ? AND paid = ?", row
    ).fetchone()
    return int(found[0])


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
