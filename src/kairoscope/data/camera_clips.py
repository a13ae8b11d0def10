"""Clips by the id that their names begin with: `<id>.<camera>.mp4`, of any camera. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from kairoscope.core import UserError
from kairoscope.data.clips import VIDEO_SUFFIXES


def clips_by_id(folder: Path) -> dict[str, list[Path]]:
    """Id -> its clips in a folder and those below: the name up to the first dot, or all but the suffix."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES and not is_hidden(path, folder):
            found[path.name.partition(".")[0]].append(path)
    return found


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether the file, or a folder on the way to it, has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def clip_of(name: str, clips: Mapping[str, Sequence[Path]]) -> Path:
    """The clip of an id; of several cameras the one that looks ahead.

    Raises UserError, without the folder, where there is none, or nobody can know which.
    """
    beginning = name.partition(".")[0]
    found = [p for p in clips.get(beginning, ()) if p.name.startswith(f"{name}.")]
    if len(found) == 1:
        return found[0]
    ahead = [p for p in found if "front" in p.name.lower()]
    if len(ahead) == 1:
        return ahead[0]
    if not found:
        raise UserError(f"no clip {name}.<camera>{VIDEO_SUFFIXES[0]} in this folder")
    names = ", ".join(p.name for p in found[:4])
    raise UserError(
        f"several clips have its id ({names}); allowed: one, or one with front in its name"
    )
