"""What the HDF5 formats share: opening with clear errors, listing, checked reading.

robomimic, MimicGen and Isaac Lab keep one group a demonstration in `data`, whose length is that of
its `actions`; everything recorded a frame has as many rows.
"""

import errno
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.events import Events
from kairoscope.robot.episode import Channel, Episode, Kind, UnreadableEpisode

LabelledBy = Literal["human", "kairoscope", "unknown"]
DATA = "data"
ASSUMED_FPS = 20.0
"""Control rate of MimicGen's tasks and of Isaac Lab's cube stacking."""
QUATERNION = {"wxyz": ("qw", "qx", "qy", "qz"), "xyzw": ("qx", "qy", "qz", "qw")}


@contextmanager
def opened(path: Path, mode: Literal["r", "r+"] = "r") -> Iterator[Any]:
    """An HDF5 file, closed at the end. Raises UserError that says why it cannot be opened."""
    try:
        file = h5py.File(path, mode)
    except OSError as error:
        raise UserError(f"{path}: {_why_not(path, error)}") from error
    with file:
        yield file


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


def demonstration(file: Any, path: Path, episode_id: str) -> Any:
    """The group of a demonstration. Raises UnreadableEpisode where there is none to be read."""
    where = f"{path}: {episode_id}"
    with damage_named(where):
        group = file[DATA].get(episode_id)
    if group is None:
        raise UnreadableEpisode(f"{where}: no such demonstration")
    if not isinstance(group, h5py.Group):
        raise UnreadableEpisode(f"{where}: is a dataset, a demonstration is a group")
    if not re.search(r"\d$", episode_id):
        raise UnreadableEpisode(f"{where}: its name must end in a number, such as demo_0")
    return group


def length(group: Any, where: str) -> int:
    """Frames of a demonstration. Raises UnreadableEpisode where it has no actions."""
    actions = group.get("actions")
    if not isinstance(actions, h5py.Dataset):
        raise UnreadableEpisode(f"{where}: has no actions; it has {sorted(group)}")
    if actions.ndim == 0 or actions.shape[0] == 0:
        raise UnreadableEpisode(f"{where}: has no frames, its actions are empty")
    return int(actions.shape[0])


def attribute(holder: Any, name: str) -> str | None:
    """An attribute as text, or None where it is absent or is not text."""
    value = holder.attrs.get(name)
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
class Recording:
    """A demonstration's group while its channels are gathered.

    Every method raises UnreadableEpisode, naming what and where, for data that is damaged, is not
    numeric or has not as many rows as there are actions.
    """

    group: Any
    where: str
    num_frames: int = 0
    channels: list[Channel] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.num_frames = length(self.group, self.where)
        recorded = self.group.attrs.get("num_samples")
        if recorded is not None and np.any(recorded != self.num_frames):
            self.notes.append(f"num_samples says {recorded}, there are {self.num_frames} actions")

    def names(self, folder: str) -> list[str]:
        """What a group inside the demonstration holds; empty where it is absent."""
        with damage_named(self.where):
            found = self.group.get(folder)
            return list(found) if isinstance(found, h5py.Group) else []

    def has(self, name: str) -> bool:
        """Whether there is a dataset of that name."""
        with damage_named(self.where):
            return isinstance(self.group.get(name), h5py.Dataset)

    def check(self, name: str) -> None:
        """Raise as `values` does, without reading."""
        with damage_named(self.where):
            checked(self.group, name, self.num_frames, self.where)

    def values(self, name: str) -> NDArray[np.float64]:
        """(T, D): a dataset, one row a frame, further axes flattened."""
        return rows(self.group, name, self.num_frames, self.where)

    def add(
        self,
        name: str,
        kind: Kind,
        values_TD: NDArray[np.float64] | None = None,
        *,
        columns: tuple[str, ...] = (),
        unit: str | None = None,
        subject: str | None = None,
    ) -> None:
        """Gather a channel; one with values that are not finite is left out with a note."""
        values_TD = self.values(name) if values_TD is None else values_TD
        bad = int((~np.isfinite(values_TD).all(axis=1)).sum())
        if values_TD.shape[1] == 0:
            self.notes.append(f"{name} left out: it has no columns")
            return
        if bad:
            self.notes.append(f"{name} left out: {bad} of {self.num_frames} rows are not finite")
            return
        fitting = columns if len(columns) == values_TD.shape[1] else ()
        self.channels.append(
            Channel(
                name=name,
                kind=kind,
                values_TD=values_TD,
                columns=fitting,
                unit=unit,
                subject=subject,
            )
        )

    def add_pose(
        self, position: str, quaternion: str, kind: Kind, order: str, subject: str | None
    ) -> None:
        """Gather position (m) and, where it is recorded, quaternion as one channel."""
        parts = [self.values(position)]
        columns: tuple[str, ...] = ("x", "y", "z")
        if self.has(quaternion):
            parts.append(self.values(quaternion))
            columns += QUATERNION[order]
        self.add(position, kind, np.hstack(parts), columns=columns, unit="m", subject=subject)

    def add_matrices(self, folder: str, kind: Kind) -> None:
        """Gather every 4 x 4 pose (m) of a group, each named after its subject."""
        for subject in self.names(folder):
            self.add(f"{folder}/{subject}", kind, unit="m", subject=subject)

    def episode(
        self,
        episode_id: str,
        fps: float,
        cameras: tuple[str, ...],
        labels: tuple[Events, LabelledBy],
        *,
        task: str = "",
        source: str | None = None,
    ) -> Episode:
        """What was gathered."""
        if not any(channel.kind == "gripper" for channel in self.channels):
            self.notes.append("no channel is known to be a gripper")
        events, labelled_by = labels
        return Episode(
            id=episode_id,
            times_s=np.arange(self.num_frames) / fps,
            channels=tuple(self.channels),
            cameras_in_file=cameras,
            task=task,
            events=events,
            labelled_by=labelled_by,
            source=source,
            notes=tuple(self.notes),
        )


def rows(group: Any, name: str, num_frames: int, where: str) -> NDArray[np.float64]:
    """(T, D): see `Recording.values`."""
    with damage_named(f"{where}/{name}"):
        values = checked(group, name, num_frames, where)[()]
    return np.asarray(values, dtype=np.float64).reshape(num_frames, -1)


def checked(group: Any, name: str, num_frames: int, where: str) -> Any:
    """A dataset of numbers with a row for each frame. Raises UnreadableEpisode for another one."""
    found = group.get(name)
    if not isinstance(found, h5py.Dataset):
        raise UnreadableEpisode(f"{where}: has no {name}")
    if found.dtype.kind not in "biuf":
        raise UnreadableEpisode(f"{where}/{name}: holds {found.dtype}, not numbers")
    if found.ndim == 0 or found.shape[0] != num_frames:
        raise UnreadableEpisode(
            f"{where}/{name}: has shape {found.shape}, there are {num_frames} actions"
        )
    return found


def rgb(group: Any, name: str, num_frames: int, where: str) -> NDArray[np.uint8]:
    """(T, H, W, 3): pictures of a camera. Raises UnreadableEpisode for anything else."""
    with damage_named(f"{where}/{name}"):
        found = group.get(name)
        if not is_rgb(found) or found.shape[0] != num_frames:
            shape = getattr(found, "shape", None)
            raise UnreadableEpisode(
                f"{where}/{name}: must be uint8 of shape ({num_frames}, height, width, 3), "
                f"is {'absent' if shape is None else f'{found.dtype} of shape {shape}'}"
            )
        pictures: NDArray[np.uint8] = found[()]
    return pictures


def is_rgb(found: Any) -> bool:
    """Whether a dataset holds colour pictures."""
    return (
        isinstance(found, h5py.Dataset)
        and found.ndim == 4
        and found.shape[-1] == 3
        and found.dtype == np.uint8
    )
