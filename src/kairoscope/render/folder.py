"""The folder of a rendered set: whose it is, with which settings, and what a kill left in it."""

import os
from pathlib import Path

from kairoscope.core import UserError
from kairoscope.render.produce import CLIPS, ROWS, STAMPED, Look
from kairoscope.storage import (
    LOCK,
    plain,
    read_json,
    storage_error,
    take_lock,
    write_json_atomic,
)

SETTINGS = "render.json"


def claim(out: Path, look: Look) -> int:
    """Lock the folder and settle its settings: write them, or make sure that they are the same.

    Returns the descriptor that holds the lock. Raises UserError for a folder that holds something
    else, is locked, or was made with other settings.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a folder")
    if out.is_dir() and not (out / SETTINGS).exists():
        others = sorted(path.name for path in out.iterdir() if not _left_at_birth(path))
        if others:
            raise UserError(
                f"{out} is not empty and holds no rendered clips (there is "
                f"{', '.join(others[:3])}); choose a new or empty folder"
            )
    try:
        for name in (ROWS, CLIPS):
            (out / name).mkdir(parents=True, exist_ok=True)
        lock = take_lock(out)
    except OSError as error:
        raise storage_error(error, out / SETTINGS) from error
    path, wanted = out / SETTINGS, plain(look)
    if not path.exists():
        write_json_atomic(path, wanted)
        return lock
    present = read_json(path)
    different = [key for key in wanted if wanted[key] != present.get(key)]
    if different:
        os.close(lock)
        was = ", ".join(f"{k}={present.get(k)!r} (now {wanted[k]!r})" for k in different)
        raise UserError(f"{out} holds clips made with {was}; choose another folder")
    return lock


def tidy(out: Path) -> None:
    """Take away what a killed process was in the middle of writing. Only under the lock."""
    for folder in (ROWS, CLIPS, STAMPED, "."):
        for pattern in (".*.part", ".*.part.mp4", ".*.tmp"):
            for torn in (out / folder).glob(pattern):
                torn.unlink(missing_ok=True)


def _left_at_birth(path: Path) -> bool:
    """Whether a command that was killed before it wrote its settings may have left this."""
    if path.name in (ROWS, CLIPS):
        return path.is_dir() and not any(path.iterdir())
    return path.name == LOCK or (path.name.startswith(".") and path.name.endswith(".tmp"))
