"""What lies at the path of a store, and how a damaged one is put aside by one process of many."""

import contextlib
import fcntl
import os
import sqlite3
import time
from enum import Enum, auto
from pathlib import Path

from kairoscope.store.places import NAME

APPLICATION = 0x4B616972
"""`Kair`, in the header of the file."""
FORMAT = 1
"""Of tables and bodies; another one is another file."""
PARTS = ("", "-wal", "-shm", "-journal")
"""Suffixes of the files that belong together."""
_MAGIC = b"SQLite format 3\0"


class Kind(Enum):
    """What a path holds."""

    ABSENT = auto()
    OURS = auto()
    NEWER = auto()
    DAMAGED = auto()
    FOREIGN = auto()


def kind_of(path: Path) -> Kind:
    """Seen from the first hundred bytes, which are in the file itself from the beginning.

    Bytes that are no database count as a damaged store under the store's own name alone: what the
    user calls otherwise may be anything.
    """
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        return Kind.ABSENT
    except IsADirectoryError:
        return Kind.FOREIGN
    if not head:
        return Kind.ABSENT
    if len(head) < 100 or not head.startswith(_MAGIC):
        return Kind.DAMAGED if path.name == NAME else Kind.FOREIGN
    if int.from_bytes(head[68:72], "big") != APPLICATION:
        return Kind.FOREIGN
    version = int.from_bytes(head[60:64], "big")
    if version == FORMAT:
        return Kind.OURS
    return Kind.NEWER if version > FORMAT else Kind.DAMAGED


def move_aside(path: Path) -> Path | None:
    """Rename a damaged store with all its parts; None where another process has just done it."""
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_sound(path):
            return None
        aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        if aside.exists():
            aside = aside.with_name(f"{aside.name}-{os.getpid()}")
        for part in PARTS:
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + part).replace(aside.with_name(aside.name + part))
        return aside


def _is_sound(path: Path) -> bool:
    kind = kind_of(path)
    if kind is not Kind.OURS:
        return kind is Kind.ABSENT
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as db:
            return bool(db.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)])
    except sqlite3.DatabaseError:
        return False
