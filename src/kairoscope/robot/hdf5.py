"""What the HDF5 formats share: opening with clear errors, listing, checked reading.

robomimic, MimicGen and Isaac Lab keep one group a demonstration in `data`, whose length is that of
its `actions`; everything recorded a frame has as many rows.
"""

import errno
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.robot.episode import UnreadableEpisode

DATA = "data"
_CACHE_BYTES = 1 << 20
ASSUMED_FPS = 20.0
"""Control rate of MimicGen's tasks and of Isaac Lab's cube stacking."""


@contextmanager
def opened(path: Path, mode: Literal["r", "r+"] = "r") -> Iterator[Any]:
    """An HDF5 file, closed at the end. Raises UserError that says why it cannot be opened."""
    try:
        file = h5py.File(path, mode)
    except OSError as error:
        raise UserError(f"{path}: {_why_not(path, error)}") from error
    with file:
        _bound_cache(file)
        yield file


def _bound_cache(file: Any) -> None:
    """Keep what HDF5 remembers of groups flat: by itself it takes 20 KB a demonstration."""
    config = file.id.get_mdc_config()
    config.set_initial_size = True
    config.initial_size = config.min_size = config.max_size = _CACHE_BYTES
    file.id.set_mdc_config(config)


def _why_not(path: Path, error: OSError) -> str:
    """Why HDF5 did not open a file, and what can be done."""
    said = str(error)
    if path.is_dir():
        return "is a folder, not an HDF5 file"
    if error.errno == errno.ENOENT or not path.exists():
        return "no such file"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"may not be opened ({error.strerror or said})"
    if "truncated" in said:
        return f"is truncated: copy or record it again ({said})"
    if "unable to lock" in said or "already open" in said:
        return "another program has it open for writing; close it there and try again"
    if "signature not found" in said:
        return "is not an HDF5 file"
    return f"cannot be opened ({said})"


@contextmanager
def damage_named(where: str) -> Iterator[None]:
    """Turn what h5py raises on a damaged file into UnreadableEpisode that says where."""
    try:
        yield
    except (OSError, RuntimeError, KeyError) as error:
        raise UnreadableEpisode(f"{where}: is damaged ({error})") from error


def in_order(names: Sequence[str]) -> list[str]:
    """Names by the number they end in, `demo_2` before `demo_10`; those without one come last."""

    def key(name: str) -> tuple[bool, int, str]:
        number = re.search(r"\d+$", name)
        return (number is None, int(number[0]) if number else 0, name)

    return sorted(names, key=key)


def attribute(holder: Any, name: str) -> str | None:
    """An attribute as text, or None where it is absent or is not text."""
    if not h5py.h5a.exists(holder.id, name.encode()):  # much quicker than `attrs.get` for most
        return None
    value = holder.attrs[name]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def environment(data: Any) -> dict[str, Any]:
    """What `env_args` says; empty where it is absent or is not a JSON object."""
    return json_object(attribute(data, "env_args"))


def json_object(text: str | None) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def number_in(values: Mapping[str, Any], *path: str) -> float | None:
    """A positive number deep in JSON, or None."""
    found: Any = values
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number and 0 < found < float("inf") else None


def checked_fps(fps: float | None) -> float | None:
    """A frame rate that the caller gave. Raises UserError where it cannot be one."""
    if fps is not None and not 0 < fps <= 1000:
        raise UserError(f"{fps:g} frames a second: must be above 0 and at most 1000")
    return fps


@dataclass(slots=True)
class Demonstration:
    """One demonstration's group, open, and what has been looked up in it.

    Every method raises UnreadableEpisode, naming what and where, for what is damaged, is not
    numeric or has not as many rows as there are actions.
    """

    group: Any
    where: str
    """For messages: file and name."""
    num_frames: int = 0
    found: dict[str, Any] = field(default_factory=dict)
    """Looking up costs more than reading, so nothing is looked up twice."""

    def __post_init__(self) -> None:
        actions = self.find("actions")
        if not isinstance(actions, h5py.Dataset):
            raise UnreadableEpisode(f"{self.where}: has no actions; it has {sorted(self.group)}")
        if not actions.shape or actions.shape[0] == 0:
            raise UnreadableEpisode(f"{self.where}: has no frames, its actions are empty")
        self.num_frames = int(actions.shape[0])

    def find(self, name: str) -> Any:
        """A group or dataset inside the demonstration, or None."""
        if name not in self.found:
            folder, _, last = name.rpartition("/")
            holder = self.find(folder) if folder else self.group
            self.found[name] = None
            if isinstance(holder, h5py.Group):
                with damage_named(f"{self.where}/{name}"), suppress(KeyError):
                    self.found[name] = holder[last]
        return self.found[name]

    def names(self, folder: str) -> list[str]:
        """What a group inside the demonstration holds; empty where it is absent."""
        found = self.find(folder)
        with damage_named(f"{self.where}/{folder}"):
            return list(found) if isinstance(found, h5py.Group) else []

    def has(self, name: str) -> bool:
        """Whether there is a dataset of that name."""
        return isinstance(self.find(name), h5py.Dataset)

    def check(self, name: str, num_rows: int | None = None) -> None:
        """Raise as `values` does, without reading."""
        dataset, rows = self.find(name), num_rows or self.num_frames
        if not isinstance(dataset, h5py.Dataset):
            raise UnreadableEpisode(f"{self.where}: has no {name}")
        shape, dtype = dataset.shape, dataset.dtype
        if dtype.kind not in "biuf":
            raise UnreadableEpisode(f"{self.where}/{name}: holds {dtype}, not numbers")
        if not shape or shape[0] != rows:
            needed = "must have 1 row" if num_rows else f"there are {rows} actions"
            raise UnreadableEpisode(f"{self.where}/{name}: has shape {shape}, {needed}")

    def values(self, name: str, num_rows: int | None = None) -> NDArray[np.float64]:
        """(T, D): a dataset, one row a frame (or `num_rows`), further axes flattened."""
        self.check(name, num_rows)
        with damage_named(f"{self.where}/{name}"):
            values = self.find(name)[()]
        return np.asarray(values, dtype=np.float64).reshape(len(values), -1)

    def is_rgb(self, name: str) -> bool:
        """Whether a dataset holds colour pictures."""
        found = self.find(name)
        return (
            isinstance(found, h5py.Dataset)
            and found.ndim == 4
            and found.shape[-1] == 3
            and found.dtype == np.uint8
        )

    def rgb(self, name: str) -> NDArray[np.uint8]:
        """(T, H, W, 3): pictures of a camera."""
        found = self.find(name)
        if not self.is_rgb(name) or found.shape[0] != self.num_frames:
            shape = getattr(found, "shape", None)
            raise UnreadableEpisode(
                f"{self.where}/{name}: must be uint8 of shape ({self.num_frames}, height, width, "
                f"3), is {'absent' if shape is None else f'{found.dtype} of shape {shape}'}"
            )
        with damage_named(f"{self.where}/{name}"):
            pictures: NDArray[np.uint8] = found[()]
        return pictures


def demonstration(file: Any, path: Path, episode_id: str) -> Demonstration:
    """A demonstration of an open file. Raises UnreadableEpisode where there is none to be read."""
    where = f"{path}: {episode_id}"
    with damage_named(where):
        group = file[DATA].get(episode_id)
    if group is None:
        raise UnreadableEpisode(f"{where}: no such demonstration")
    if not isinstance(group, h5py.Group):
        raise UnreadableEpisode(f"{where}: is a dataset, a demonstration is a group")
    if not re.search(r"\d$", episode_id):
        raise UnreadableEpisode(f"{where}: its name must end in a number, such as demo_0")
    return Demonstration(group, where)
