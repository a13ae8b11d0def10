"""Change a file by way of a copy: the whole new file or the old one, never half of one."""

import contextlib
import errno
import glob
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from kairoscope.storage import is_alive, storage_error, sync


@contextlib.contextmanager
def replacing(base: Path, target: Path, room: int) -> Iterator[Path]:
    """A copy of `base` to change, which takes the place of `target` when all went well.

    `room` more bytes are set aside before HDF5 sees the copy: it gives back what it does not use,
    but where it meets a full disk itself, the process may end with it.

    Raises UserError where the disk is full or may not be written; `target` is then as it was.
    """
    copy = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if shutil.disk_usage(target.parent).free < base.stat().st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        shutil.copyfile(base, copy)
        if base == target:
            shutil.copymode(base, copy)
        set_aside(copy, room)
        yield copy
        sync(copy)
        copy.replace(target)
        sync(target.parent)
    except (OSError, RuntimeError) as error:
        raise storage_error(_with_number(error), target) from error
    finally:
        with contextlib.suppress(OSError):
            copy.unlink(missing_ok=True)


def check_writable(target: Path) -> None:
    """Raises UserError for a file that its owner has made read-only, though it could be replaced."""
    try:
        target.open("r+b").close()
    except OSError as error:
        raise storage_error(error, target) from error


def set_aside(path: Path, room: int) -> None:
    """Make a file longer by `room` bytes that really are there."""
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), path.stat().st_size, max(room, 1))


def _with_number(error: OSError | RuntimeError) -> OSError:
    """An error of h5py with the number of the system's error, which it has in its words only."""
    if isinstance(error, OSError) and error.errno is not None:
        return error
    number = re.search(r"errno = (\d+)", str(error))
    return OSError(int(number[1]) if number else errno.EIO, str(error))


def sweep(target: Path) -> None:
    """Remove the copies of writers that were killed."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        number = left.name.split(".")[-2]
        if number.isdigit() and not is_alive(int(number)):
            with contextlib.suppress(OSError):
                left.unlink()
