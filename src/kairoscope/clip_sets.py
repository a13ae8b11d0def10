"""The folder of a set of clips that one command makes: whose it is, and what a kill left in it.

And the processes that make the clips.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from kairoscope.core import UserError
from kairoscope.storage import LOCK, read_json, storage_error, take_lock, write_json_atomic

Item = TypeVar("Item")
Result = TypeVar("Result")


def claim(
    out: Path, name: str, settings: Mapping[str, Any], folders: Sequence[str], what: str
) -> int:
    """Lock the folder and settle its settings: write them, or make sure that they are the same.

    Args:
        out: the folder; made where it is not there.
        name: of the file with the settings.
        settings: all that decides what the clips are like, as JSON values.
        folders: what is made in it.
        what: it holds, in the words of an error.

    Returns the descriptor that holds the lock. Raises UserError for a folder that holds something
    else, is locked, or was made with other settings.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a folder")
    path = out / name
    if out.is_dir() and not path.exists():
        others = sorted(one.name for one in out.iterdir() if not _left_at_birth(one, folders))
        if others:
            raise UserError(
                f"{out} is not empty and holds no {what} (there is {', '.join(others[:3])}); "
                "choose a new or empty folder"
            )
    try:
        for folder in folders:
            (out / folder).mkdir(parents=True, exist_ok=True)
        lock = take_lock(out)
    except OSError as error:
        raise storage_error(error, path) from error
    if not path.exists():
        write_json_atomic(path, settings)
        return lock
    present = read_json(path)
    different = [key for key in settings if settings[key] != present.get(key)]
    if different:
        os.close(lock)
        was = ", ".join(f"{k}={present.get(k)!r} (now {settings[k]!r})" for k in different)
        raise UserError(f"{out} holds clips made with {was}; choose another folder")
    return lock


def _left_at_birth(path: Path, folders: Sequence[str]) -> bool:
    """Whether a command that was killed before it wrote its settings may have left this."""
    if path.name in folders:
        return path.is_dir() and not any(path.iterdir())
    return path.name == LOCK or (path.name.startswith(".") and path.name.endswith(".tmp"))


def tidy(out: Path, folders: Sequence[str]) -> None:
    """Take away what a killed process was in the middle of writing. Only under the lock."""
    for folder in folders:
        for pattern in (".*.part", ".*.part.mp4", ".*.tmp"):
            for torn in (out / folder).glob(pattern):
                torn.unlink(missing_ok=True)


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, out: Path
) -> Iterator[tuple[Item, Result]]:
    """Every item with `work(item)`, as each is finished: here, or in up to `workers` new processes.

    `work` must be picklable, and a script needs the usual `if __name__ == "__main__":`. Raises what
    `work` raises, and UserError, naming the folder `out`, where a process dies.
    """
    if workers == 1 or len(items) < 2:
        for item in items:
            yield item, work(item)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(items)),
        multiprocessing.get_context("spawn"),
        initializer=end_with_parent,
    )
    try:
        futures = {pool.submit(work, item): item for item in items}
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
    except BrokenProcessPool as error:
        raise UserError(
            f"{out}: a worker process died, perhaps for lack of memory; run the same command "
            "again, with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """For a worker process: end with the one that started it, also when that is killed."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
