"""Whether a folder holds a run, and whether that is the run that is wanted.

A folder belongs to the kind and config in its `config.json`; everything else in it follows from them.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.storage import LOCK, read_json, write_json_atomic

FORMAT = 1
SHARDS = "shards"
"""In the folder of a run that several processes share out: a run folder of each."""


def check_folder(path: Path) -> None:
    """Refuse, before touching it, a path that is no folder and a folder that holds no run.

    Many things keep a config.json, model checkpoints first of all: one of those is no run either.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file; --out must name a folder")
    if not path.is_dir():
        return
    if (path / "config.json").exists():
        read_config(path)
        return
    try:
        others = sorted(entry.name for entry in path.iterdir() if not _ours(entry.name))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if others:
        raise UserError(
            f"{path} is not empty and holds no run (there is {', '.join(others[:3])}"
            f"{', ...' if len(others) > 3 else ''}); choose a new or empty folder with --out"
        )


def _ours(name: str) -> bool:
    """What a run that was killed at its birth leaves behind, and shards that were copied together."""
    return name in (LOCK, SHARDS) or (name.startswith(".") and name.endswith(".tmp"))


def clear_folder(path: Path) -> None:
    """Throw away everything in a folder but its lock."""
    for entry in path.iterdir():
        if entry.name == LOCK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def read_config(path: Path) -> tuple[str, dict[str, Any]]:
    """Kind and config of a run folder; `UserError` where it is none."""
    if not path.is_dir():
        raise UserError(f"{path}: there is no such folder")
    file = path / "config.json"
    if not file.exists():
        raise UserError(f"{path} is no run: it has no config.json")
    found = read_json(file)
    if not (isinstance(found, dict) and {"format", "kind"} <= found.keys()) or not isinstance(
        found.get("config"), dict
    ):
        raise UserError(f"{file}: was not written by kairoscope; choose another --out")
    if found["format"] != FORMAT:
        raise UserError(
            f"{file}: has format {found['format']!r}, this version reads {FORMAT}; use the version "
            "that wrote the run, or another --out"
        )
    return str(found["kind"]), found["config"]


def write_config(path: Path, kind: str, config: Mapping[str, Any]) -> None:
    """Give a folder to a run of this kind and config (JSON values)."""
    write_json_atomic(path / "config.json", {"format": FORMAT, "kind": kind, "config": config})


def check_same(path: Path, kind: str, config: Mapping[str, Any]) -> None:
    """Raise `UserError` saying which settings of the run in the folder differ from those wanted."""
    kind_there, config_there = read_config(path)
    way_on = "choose another --out, or delete the folder to start anew"
    if kind_there != kind:
        raise UserError(f"{path} holds a run of kind {kind_there!r}, not {kind!r}; {way_on}")
    differences = list(differing(config_there, config))
    if differences:
        shown = "\n".join(f"  {k}: {old} there, {new} now" for k, old, new in differences[:8])
        more = f"\n  and {len(differences) - 8} more" if len(differences) > 8 else ""
        raise UserError(f"{path} holds a run with other settings:\n{shown}{more}\n{way_on}")


def differing(old: Any, new: Any, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(dotted key, old value, new value) of all that differs between two plain values."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            where = f"{prefix}.{key}" if prefix else str(key)
            yield from differing(old.get(key, _ABSENT), new.get(key, _ABSENT), where)
    elif old != new:
        yield prefix, _short(old), _short(new)


_ABSENT = object()


def _short(value: Any) -> str:
    text = "nothing" if value is _ABSENT else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
