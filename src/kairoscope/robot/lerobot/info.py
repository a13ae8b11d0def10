"""`meta/info.json`: version, rate, features and the templates that name the other files."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kairoscope.core import UserError
from kairoscope.storage import read_json

INFO = "meta/info.json"
KNOWN_VERSIONS = ("v2.0", "v2.1", "v3.0")
DATA_PATH = {
    2: "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
    3: "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
}
VIDEO_PATH = {
    2: "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    3: "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
DEFAULT_CHUNK_SIZE = 1000
_PLACES = {2: ("episode_chunk", "episode_index"), 3: ("chunk_index", "file_index")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What info.json says about one column or camera."""

    name: str
    dtype: str
    columns: tuple[str, ...] = ()
    """Names of its numbers, empty where none are given."""
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What `meta/info.json` says, checked."""

    root: Path
    version: str
    """As in the file, or `unknown`."""
    layout: int
    """2: a file an episode. 3: many episodes in a file."""
    fps: float | None
    """None where the file has no usable number."""
    features: Mapping[str, Feature]
    data_path: str
    video_path: str
    chunk_size: int
    notes: tuple[str, ...]
    """What is odd about it, in words."""

    def data_file(self, **values: Any) -> Path:
        """The file that the template of data files names. Raises UserError for a bad template."""
        return self._file("data_path", self.data_path, values)

    def video_file(self, **values: Any) -> Path:
        """The file that the template of videos names. Raises UserError for a bad template."""
        return self._file("video_path", self.video_path, values)

    def _file(self, field: str, template: str, values: Mapping[str, Any]) -> Path:
        try:
            name = template.format(**values)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise UserError(
                f"{self.root / INFO}: {field} is {template!r}; it may name {', '.join(values)} "
                f"({type(error).__name__}: {error})"
            ) from error
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise UserError(f"{self.root / INFO}: {field} leads out of the dataset, to {name!r}")
        return self.root / relative

    def cameras(self, dtype: str) -> tuple[str, ...]:
        """Names of the features of one kind: `video`, or `image` for pictures in the data files."""
        return tuple(name for name, f in self.features.items() if f.dtype == dtype)


def read_info(root: Path) -> Info:
    """Read and check info.json. Raises UserError where it is absent, not JSON, or of no known kind."""
    path = root / INFO
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path}: must be a JSON object, is {type(raw).__name__}")
    notes: list[str] = []
    version = str(raw.get("codebase_version", "unknown"))
    layout = _layout(root, version, notes)
    chunk_size = raw.get("chunks_size", DEFAULT_CHUNK_SIZE)
    if type(chunk_size) is not int or chunk_size < 1:
        notes.append(f"chunks_size is {chunk_size!r}, not a whole number above 0: took 1000")
        chunk_size = DEFAULT_CHUNK_SIZE
    fps = usable_fps(raw.get("fps"))
    if fps is None:
        notes.append(f"fps is {raw.get('fps')!r}, not a number above 0: taken from the timestamps")
    info = Info(
        root=root,
        version=version,
        layout=layout,
        fps=fps,
        features=_features(path, raw.get("features", {})),
        data_path=str(raw.get("data_path") or DATA_PATH[layout]),
        video_path=str(raw.get("video_path") or VIDEO_PATH[layout]),
        chunk_size=chunk_size,
        notes=tuple(f"{INFO}: {note}" for note in notes),
    )
    names = _PLACES[layout]
    info.data_file(**dict.fromkeys(names, 0))
    info.video_file(video_key="camera", **dict.fromkeys(names, 0))
    return info


def _layout(root: Path, version: str, notes: list[str]) -> int:
    """2 or 3 by the version; by what lies in the folder where the version is not known."""
    if version in KNOWN_VERSIONS:
        return int(version[1])
    meta = root / "meta"
    found = 3 if (meta / "episodes").is_dir() else 2 if (meta / "episodes.jsonl").is_file() else 0
    known = ", ".join(KNOWN_VERSIONS)
    match = re.fullmatch(r"v?([23])\.\d+", version)
    if match and found in (0, int(match.group(1))):
        found = int(match.group(1))
    if not found:
        raise UserError(f"{root / INFO}: codebase_version is {version!r}; known are {known}")
    notes.append(f"codebase_version is {version!r}; known are {known}: read as v{found}.x")
    return found


def usable_fps(value: Any) -> float | None:
    """A frame rate that can be one, or None."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) and value > 0 else None


def _features(path: Path, raw: Any) -> dict[str, Feature]:
    if not isinstance(raw, dict):
        raise UserError(f"{path}: features must be an object, is {type(raw).__name__}")
    features = {}
    for name, what in raw.items():
        entry = what if isinstance(what, dict) else {}
        unit = entry.get("unit", entry.get("units"))
        features[name] = Feature(
            name=name,
            dtype=str(entry.get("dtype", "unknown")),
            columns=_column_names(entry.get("names")),
            unit=unit if isinstance(unit, str) else None,
        )
    return features


def _column_names(names: Any) -> tuple[str, ...]:
    """Names of a feature's numbers: a list, a list of lists, {group: list} or {name: position}."""
    if isinstance(names, str):
        return (names,)
    if isinstance(names, dict):
        values = list(names.values())
        if values and all(isinstance(value, int) for value in values):
            return tuple(sorted(names, key=lambda name: names[name]))
        return tuple(column for value in values for column in _column_names(value))
    if isinstance(names, list):
        return tuple(column for value in names for column in _column_names(value))
    return ()
