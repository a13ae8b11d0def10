"""Task files: which events to look for in a kind of clip, in order. A TOML file a task.

name = "mimicgen_coffee"
events = ["grasping the pod"]
description = "A robot arm puts a coffee pod into a machine."
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
KEYS = ("name", "events", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """What is asked about every clip of a kind."""

    name: str
    events: Query
    """In the order in which they happen."""
    description: str = ""


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
    return TaskFile(
        name=text(table, "name"),
        events=check_event_names(events),
        description=text(table, "description") if "description" in table else "",
    )
