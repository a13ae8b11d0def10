"""Tables of the store, and a connection to them."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from kairoscope.store.files import APPLICATION, FORMAT

BUSY_S = 30.0
"""How long one process waits for others to have written."""
ROW_BYTES = 150
"""About what a row takes beside its body."""
_TABLES = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
CREATE TABLE askers (
  id INTEGER PRIMARY KEY,
  model TEXT NOT NULL, identity TEXT NOT NULL, task TEXT NOT NULL, paid INTEGER NOT NULL,
  UNIQUE (model, identity, task, paid)
);
CREATE TABLE answers (
  key BLOB NOT NULL, trial INTEGER NOT NULL,
  asker INTEGER NOT NULL, made_at REAL NOT NULL,
  body BLOB NOT NULL, seal BLOB NOT NULL,
  PRIMARY KEY (key, trial)
);
"""


def connect(path: Path, *, is_shared: bool) -> sqlite3.Connection:
    """Open the file; make its tables where there are none yet.

    A write-ahead log lets readers and one writer work at a time, and a commit costs no wait for the
    disk. It needs memory that all processes share, so where other machines may have the same disk
    (`is_shared`), a journal takes its place.
    """
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        if db.execute("PRAGMA user_version").fetchone() != (FORMAT,):
            _make_tables(db)
        db.execute(f"PRAGMA journal_mode = {'DELETE' if is_shared else 'WAL'}")
        db.execute(f"PRAGMA synchronous = {'FULL' if is_shared else 'NORMAL'}")
        db.execute("SELECT key, trial, asker, made_at, body, seal FROM answers LIMIT 0")
    except BaseException:
        db.close()
        raise
    return db


def _make_tables(db: sqlite3.Connection) -> None:
    """In one transaction, and before there is a log, so that the file's first bytes say whose it is."""
    with transaction(db):
        if db.execute("PRAGMA user_version").fetchone() == (FORMAT,):
            return  # another process was faster
        for statement in filter(str.strip, _TABLES.split(";")):
            db.execute(statement)


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        # Where the disk is full, the database has rolled back already.
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def used_bytes(db: sqlite3.Connection) -> int:
    """Of pages with something in them."""
    (size,), (pages,), (free,) = (
        db.execute(f"PRAGMA {name}").fetchone()
        for name in ("page_size", "page_count", "freelist_count")
    )
    return int(size * (pages - free))
