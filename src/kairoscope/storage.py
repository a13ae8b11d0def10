"""Plain files that survive `kill -9` and a full disk: whole or not at all, and locks."""

import contextlib
import dataclasses
import errno
import fcntl
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from kairoscope.core import UserError

LOCK = ".lock"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}


class Locked(UserError):
    """Another process is writing there."""


def plain(value: Any) -> Any:
    """Dataclasses, paths, tuples, sets and numpy scalars as what JSON knows.

    Raises `TypeError` for anything else (a function, say) and `ValueError` for a float that is not
    finite, because JSON has no word for it and a reader would refuse the whole file.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be written as JSON")
        return float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, AbstractSet):
        return sorted(plain(item) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        return plain(item())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def canonical_json(value: Any, *, indent: int | None = None) -> str:
    """The same text for equal values: sorted keys, no NaN, UTF-8 kept readable.

    A lone surrogate, which a JSON file may hold as an escape and UTF-8 may not, stays an escape.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(
        plain(value),
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        indent=indent,
        separators=separators,
    )
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_json_atomic(path: Path, value: Any) -> None:
    """The whole new file or the old one, never half of one; readable JSON with sorted keys."""
    write_text_atomic(path, canonical_json(value, indent=1) + "\n")


def write_text_atomic(path: Path, text: str | Iterable[str]) -> None:
    """As `write_json_atomic`, for text (UTF-8). A full disk is a `UserError` naming the folder.

    Text may come in parts, of which one is in memory at a time. What UTF-8 may not hold, such as a
    byte of a file name that is no text, is written as an escape.
    """
    with whole_file(path) as temporary, temporary.open("wb") as file:
        for part in (text,) if isinstance(text, str) else text:
            file.write(part.encode("utf-8", "backslashreplace"))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` once it is on the disk as a whole.

    Whatever fails leaves `path` as it was. Raises `UserError` where it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage_error(error, path) from error
        raise


def clear_torn(folder: Path) -> None:
    """Take away what processes of this machine that are gone were in the middle of writing in a folder."""
    for file in folder.glob(".*.tmp"):
        pid = file.name.removesuffix(".tmp").rpartition(".")[2]
        if pid.isdigit() and not is_alive(int(pid)):
            file.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is there, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def sync(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder, before anything relies on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def displaced(folder: Path) -> Path:
    """Where a folder is for the moment in which `whole_folder` puts another one at its place.

    Hidden, and so not something of the user's that has this name.
    """
    return folder.with_name(f".{folder.name}.old")


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `folder` once it is on the disk as a whole.

    A kill leaves what was there before, here or at `displaced(folder)`; what an earlier one left
    behind is cleared away. Raises `UserError` where it cannot be written.
    """
    temporary, old = folder.with_name(f".{folder.name}.part"), displaced(folder)
    try:
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        for file in filter(Path.is_file, temporary.rglob("*")):
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        if folder.exists():
            folder.replace(old)
        temporary.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise storage_error(error, folder) from error
        raise


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises `UserError` where it is absent or not JSON."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path}: is not JSON ({error})") from error


def file_state(path: Path) -> list[int] | None:
    """Size, time of change and mode of a file, to see whether it is still the same; None: absent."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns, found.st_mode]


def take_lock(path: Path) -> int:
    """Lock a folder for this process and return the descriptor that holds the lock.

    The kernel lets go of it however the process ends. Raises `Locked` with the other process's
    id where the folder is locked, and `OSError` where the lock cannot be written.
    """
    descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise Locked(
            f"{path} is being written by another process (pid {holder}); wait for it or stop it, "
            "or choose another --out"
        ) from error
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor


def storage_error(error: OSError, path: Path) -> UserError:
    """What the user can do about a file that could not be written."""
    if error.errno in _NO_SPACE:
        return UserError(
            f"no space left in {path.parent} while writing {path.name}; everything finished before "
            "is kept: free some space and run the same command again"
        )
    if error.errno in _NO_ACCESS:
        return UserError(f"{path}: may not be written ({error.strerror}); choose another --out")
    return UserError(f"{path}: could not be written ({error.strerror or error})")
