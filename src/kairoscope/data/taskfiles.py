"""Task files: which events to look for in a kind of clip, in order. A TOML file a task.

name = "mimicgen_coffee"
events = ["grasping the pod"]
description = "A robot arm puts a coffee pod into a machine."
signals = ["grasp"]        # for HDF5: the signal that each event ends, "" for one without
offsets = [[5, 10]]        # frames that generation adds to each signal's end
arms = ["left"]            # of several arms: which does each event
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.data.labels import check_event_names
from kairoscope.data.rows import check_keys, show, text
from kairoscope.events import Query

SHIPPED = Path(__file__).parent / "tasks"
KEYS = ("name", "events", "description", "signals", "offsets", "arms")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """What is asked about every clip of a kind."""

    name: str
    events: Query
    """In the order in which they happen."""
    description: str = ""
    signals: tuple[str, ...] = ()
    """Subtask termination signal of each event in HDF5 files; "" for an event without one. Empty:
    taken from what is known of the environment."""
    offsets: tuple[tuple[int, int], ...] = ()
    """Smallest and largest number of frames that generation adds to the end of each signal."""
    arms: tuple[str, ...] = ()
    """Which arm does each event, as `left`; empty: one does them all. Events of two arms may end in
    any order."""


def shipped_tasks() -> Mapping[str, Path]:
    """Name -> file of the tasks that come with the package, sorted by name."""
    return {file.stem: file for file in sorted(SHIPPED.glob("*.toml"))}


def load_task(name_or_path: str) -> TaskFile:
    """A task by the path of its `.toml` file, or by the name of one that is shipped.

    In a name, hyphens and underscores are the same, case does not count, and any part made of
    whole words, or any beginning, is enough where only one task has it: `agibot-358`, `coffee`.

    Raises:
        UserError: no such file or name, a name that fits several, or a file that is not a task.
    """
    if name_or_path.lower().endswith(".toml"):
        return _read(Path(name_or_path))
    return _read(_shipped(name_or_path))


def _shipped(name: str) -> Path:
    tasks = shipped_tasks()
    wanted = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    if wanted in tasks:
        return tasks[wanted]
    fitting = [
        key for key in tasks if wanted and (key.startswith(wanted) or f"_{wanted}_" in f"_{key}_")
    ]
    if len(fitting) == 1:
        return tasks[fitting[0]]
    if fitting:
        raise UserError(f"task {name!r} fits several: {', '.join(fitting)}")
    close = get_close_matches(wanted, tasks, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise UserError(
        f"task {name!r} is not shipped.{hint} "
        f"Allowed: the path of a .toml file, or one of {', '.join(tasks)}"
    )


def _read(file: Path) -> TaskFile:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{file}: no such task file") from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{file}: not TOML: {error}") from error
    try:
        return _task(table)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def _task(table: dict[str, Any]) -> TaskFile:
    check_keys(table, KEYS, ("name", "events"), "a task file")
    events = table["events"]
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        raise UserError(f"events is {show(events)}; allowed: a list of texts")
    names = check_event_names(events)
    return TaskFile(
        name=text(table, "name"),
        events=names,
        description=text(table, "description") if "description" in table else "",
        signals=_signals(table.get("signals", []), len(names)),
        offsets=_offsets(table.get("offsets", []), table.get("signals", [])),
        arms=_arms(table.get("arms", []), len(names)),
    )


def _arms(names: Any, num_events: int) -> tuple[str, ...]:
    good = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
    if not good or (names and len(names) != num_events):
        raise UserError(
            f"arms is {show(names)}; allowed: a name for each of the {num_events} events"
        )
    return tuple(names)


def _signals(names: Any, num_events: int) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"signals is {show(names)}; allowed: a list of texts")
    if names and len(names) != num_events:
        raise UserError(
            f"signals has {len(names)} names for {num_events} events; allowed: one each"
        )
    given = [name for name in names if name]
    if odd := next((name for name in given if given.count(name) > 1 or "/" in name), None):
        raise UserError(f"signals has {odd!r}; allowed: every name once, without a slash")
    return tuple(names)


def _offsets(pairs: Any, signals: Any) -> tuple[tuple[int, int], ...]:
    wanted = len([name for name in signals if name])
    good = isinstance(pairs, list) and all(_is_range(pair) for pair in pairs)
    if not good or (pairs and len(pairs) != wanted):
        raise UserError(
            f"offsets is {show(pairs)}; allowed: a pair of frames, as [10, 20], for each of the "
            f"{wanted} signals"
        )
    return tuple((low, high) for low, high in pairs)


def _is_range(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(type(frames) is int for frames in pair)
        and pair[0] <= pair[1]
    )
