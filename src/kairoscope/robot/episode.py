"""What every format gives: episodes with frame times, channels, videos, task text and labels.

Plain data and two protocols; the files of this package that are named after a format know how it
lies on disk, everything else works on these types.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.events import Events

Kind = Literal["action", "state", "gripper", "eef_pose", "object_pose", "other"]
"""What a channel is, as far as the format itself says so. `gripper`: command, width or finger
joints; `eef_pose` and `object_pose`: 4 x 4 matrices flattened, position + quaternion, or position
alone; `state`, `action`: columns of several meanings, in which a gripper may hide."""


class UnreadableEpisode(UserError):
    """An episode that cannot be read. In a run over many episodes it is counted and listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One recorded signal of an episode."""

    name: str
    """As in the file, such as `action` or `obs/eef_pos`."""
    kind: Kind
    values_TD: NDArray[np.float64]
    """(T, D), one row a frame."""
    columns: tuple[str, ...] = ()
    """Names of the D columns where the file gives them."""
    unit: str | None = None
    """Such as `m`, `rad`, or None where the file does not say."""
    subject: str | None = None
    """Which object, arm or hand, where the format names it, such as `cube_1` or `left`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSpan:
    """Where an episode lies in a video file, which may hold many."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None
    """None: to the end of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One demonstration as recorded."""

    id: str
    """Unique in the dataset, such as `demo_3`."""
    times_s: NDArray[np.float64]
    """(T,) times of the frames from the start of the episode, ascending."""
    channels: tuple[Channel, ...] = ()
    videos: Mapping[str, VideoSpan] = field(default_factory=dict)
    """By camera."""
    cameras_in_file: tuple[str, ...] = ()
    """Cameras whose pictures lie in the data file itself (`Dataset.pictures`)."""
    task: str = ""
    """Instruction in words, where there is one."""
    events: Events = ()
    """Labels that the dataset already has, in order; empty where it has none."""
    labelled_by: Literal["human", "kairoscope", "unknown"] = "unknown"
    """Who made `events`, where the file says so. Human labels are never overwritten in silence."""
    source: str | None = None
    """Demonstration that this one was generated from, where known: splits never cut through it."""
    notes: tuple[str, ...] = ()
    """What was assumed, left out or found odd while reading, in words, for the user to see."""


class Dataset(Protocol):
    """An opened dataset. Reading one episode touches only what that episode needs."""

    @property
    def path(self) -> Path:
        """What the user named."""

    @property
    def format(self) -> str:
        """Such as `mimicgen`, `isaaclab`, `lerobot v3.0`, `folder`."""

    @property
    def fps(self) -> float:
        """Frames a second of the recorded signals."""

    @property
    def ids(self) -> Sequence[str]:
        """Every episode that the dataset lists, in order."""

    def episode(self, episode_id: str) -> Episode:
        """Read one episode. Raises UnreadableEpisode, naming what is wrong and where."""

    def pictures(self, episode_id: str, camera: str) -> NDArray[np.uint8]:
        """(T, H, W, 3) RGB of a camera in `cameras_in_file`. Raises UnreadableEpisode."""
