"""LeRobot datasets of v1: one Arrow table with all frames, and an MP4 an episode and camera.

    train/data-00000-of-00001.arrow, train/state.json    frames, as `datasets` saves them
    videos/<camera>_episode_000000.mp4                   named by the column of the camera
    meta_data/info.json                                  fps, where it is there

They are read, not written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.robot.episode import Episode, UnreadableEpisode, VideoSpan
from kairoscope.robot.lerobot.frames import edges, signals
from kairoscope.robot.lerobot.info import Info, usable_fps
from kairoscope.robot.lerobot.listing import DAMAGE
from kairoscope.robot.lerobot.rows import values
from kairoscope.robot.lerobot.videos import Videos
from kairoscope.storage import read_json

TABLES = "train/*.arrow"


@dataclass(frozen=True)
class ArrowDataset:
    """A v1 dataset. See `kairoscope.robot.episode.Dataset`."""

    path: Path
    fps: float
    spans: Mapping[str, tuple[Any, int, int]]
    """By episode: its table, mapped from the file, its first row there, and its end."""
    notes: tuple[str, ...] = ()
    by_number: bool = False
    """Count frames at `fps`, whatever their timestamps are."""

    @property
    def format(self) -> str:
        """`lerobot v1`."""
        return "lerobot v1"

    @property
    def ids(self) -> Sequence[str]:
        """Every episode, in order."""
        return tuple(self.spans)

    def episode(self, episode_id: str) -> Episode:
        """Read one episode. Raises UnreadableEpisode, naming what is wrong."""
        table = self._rows(episode_id)
        edges_s, notes = edges(
            table, self.fps, f"{self.path}: {episode_id}", by_number=self.by_number
        )
        cameras = [field.name for field in table.schema if _is_camera(field.type)]
        spans: dict[str, VideoSpan] = {}
        for camera in cameras:
            name = str((table.column(camera)[0].as_py() or {}).get("path"))
            path = self.path / name
            if ".." in PurePosixPath(name).parts or not path.is_file():
                notes.append(f"camera {camera}: {name} is missing")
            else:
                spans[camera] = VideoSpan(path=path)
        videos, unfit = self._files.compared(spans, table.num_rows, self.fps)
        channels, left_out = signals(table.drop_columns(cameras), {}, {})
        return Episode(
            id=episode_id,
            times_s=edges_s[:-1],
            channels=channels,
            videos=videos,
            notes=(*notes, *left_out, *unfit),
        )

    def pictures(self, episode_id: str, camera: str) -> NDArray[np.uint8]:
        """Raises UnreadableEpisode: v1 keeps pictures in videos."""
        raise UnreadableEpisode(
            f"{self.path}: {episode_id}: no pictures of {camera!r} in its table"
        )

    def _rows(self, episode_id: str) -> pa.Table:
        if episode_id not in self.spans:
            raise UnreadableEpisode(f"{self.path}: no episode {episode_id!r}")
        table, start, end = self.spans[episode_id]
        return table.slice(start, end - start)

    @cached_property
    def _files(self) -> Videos:
        empty = Info(
            root=self.path,
            version="v1",
            layout=2,
            fps=self.fps,
            features={},
            data_path="",
            video_path="",
            chunk_size=1,
            notes=(),
        )
        return Videos(empty)


def _is_camera(kind: Any) -> bool:
    return bool(pa.types.is_struct(kind) and kind.get_field_index("path") >= 0)


def open_arrow(root: Path, fps: float | None = None) -> ArrowDataset:
    """Open a v1 dataset. See `open_lerobot`."""
    spans: dict[str, tuple[Any, int, int]] = {}
    rate = fps or _recorded_fps(root)
    for path in sorted(root.glob(TABLES)):
        table = _table(path)
        indices = np.asarray(table.column("episode_index").to_numpy())
        starts = np.flatnonzero(np.diff(indices, prepend=indices[:1] - 1)).tolist()
        for start, end in zip(starts, [*starts[1:], len(indices)], strict=True):
            spans.setdefault(f"episode_{int(indices[start]):06d}", (table, start, end))
        rate = rate or _measured_fps(table, *next(iter(spans.values()))[1:])
    if not spans:
        raise UserError(f"{root}: {TABLES} holds no frames")
    if rate is None:
        raise UserError(f"{root}: neither meta_data/info.json nor timestamps tell the frame rate")
    return ArrowDataset(path=root, fps=rate, spans=spans, by_number=fps is not None)


def _table(path: Path) -> pa.Table:
    try:
        table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
    except DAMAGE as error:
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(f"{path}: cannot be read ({reason})") from error
    if "episode_index" not in table.column_names:
        raise UserError(f"{path}: has no column episode_index; it has {table.column_names}")
    return table


def _recorded_fps(root: Path) -> float | None:
    path = root / "meta_data" / "info.json"
    said = read_json(path) if path.is_file() else {}
    return usable_fps(said.get("fps")) if isinstance(said, dict) else None


def _measured_fps(table: pa.Table, start: int, end: int) -> float | None:
    rows = table.slice(start, end - start)
    times = values(rows, "timestamp") if "timestamp" in table.column_names else ""
    steps = np.diff(times[:, 0]) if isinstance(times, np.ndarray) else np.zeros(0)
    median = float(np.median(steps)) if len(steps) > 1 else 0.0
    return round(1 / median, 2) if median > 0 else None
