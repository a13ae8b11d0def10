"""Where an episode's pictures lie, and whether the videos are as long as what was recorded."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from kairoscope.robot.episode import UnreadableEpisode, VideoSpan
from kairoscope.robot.lerobot.info import Info
from kairoscope.robot.lerobot.listing import Fields

TOLERANCE_FRAMES = 1.5
"""A video may be this much longer or shorter than the signals before it is worth a note."""


@dataclass(slots=True)
class Videos:
    """The video files of a dataset; how long each is, once it has been asked."""

    info: Info
    _durations_s: dict[Path, float | str] = field(default_factory=dict)

    def spans(self, index: int, fields: Fields) -> tuple[dict[str, VideoSpan], list[str]]:
        """Where the episode lies in a file of each camera, and notes on cameras that have none."""
        spans: dict[str, VideoSpan] = {}
        notes: list[str] = []
        for camera in self.info.cameras("video"):
            found = self._span(camera, index, fields)
            if isinstance(found, str):
                notes.append(found)
            else:
                spans[camera] = found
        return spans, notes

    def _span(self, camera: str, index: int, fields: Fields) -> VideoSpan | str:
        """A camera's span, or why there is none."""
        if self.info.layout == 2:
            chunk = index // self.info.chunk_size
            path = self.info.video_file(video_key=camera, episode_chunk=chunk, episode_index=index)
            span = VideoSpan(path=path)
        else:
            about = {name: fields.get(f"videos/{camera}/{name}") for name in _V3_FILE}
            if not all(isinstance(number, int) for number in about.values()):
                return f"camera {camera}: the list of episodes names no video file"
            path = self.info.video_file(video_key=camera, **about)
            start, end = (
                fields.get(f"videos/{camera}/{edge}_timestamp") for edge in ("from", "to")
            )
            if start is None or end is None or not _is_span(start, end):
                return f"camera {camera}: it lies from {start} to {end} s in {path.name}"
            span = VideoSpan(path=path, start_s=float(start), end_s=float(end))
        return span if path.is_file() else f"camera {camera}: {self._name(path)} is missing"

    def compared(
        self, spans: Mapping[str, VideoSpan], num_frames: int, fps: float
    ) -> tuple[dict[str, VideoSpan], list[str]]:
        """Spans whose files can be opened, and notes on those that can not, or that do not fit."""
        fitting: dict[str, VideoSpan] = {}
        notes: list[str] = []
        for camera, span in spans.items():
            file_s = self._duration_s(span.path)
            if isinstance(file_s, str):
                notes.append(f"camera {camera}: {self._name(span.path)} {file_s}")
                continue
            fitting[camera] = span
            video_s = (file_s if span.end_s is None else span.end_s) - span.start_s
            signals_s = num_frames / fps
            if abs(video_s - signals_s) > TOLERANCE_FRAMES / fps:
                notes.append(
                    f"camera {camera}: the video runs {video_s:.2f} s, the signals {signals_s:.2f} s"
                )
            if span.end_s is not None and span.end_s > file_s + TOLERANCE_FRAMES / fps:
                notes.append(
                    f"camera {camera}: it ends at {span.end_s:.2f} s of {self._name(span.path)}, "
                    f"which runs {file_s:.2f} s"
                )
        return fitting, notes

    def _duration_s(self, path: Path) -> float | str:
        if path not in self._durations_s:
            self._durations_s[path] = _duration_s(path)
        return self._durations_s[path]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.info.root).as_posix()

    def unlisted(self) -> list[str]:
        """Folders of videos that info.json does not list, as notes."""
        pattern = "videos/*" if self.info.layout == 3 else "videos/*/*"
        found = {path.name for path in self.info.root.glob(pattern) if path.is_dir()}
        extra = sorted(found - set(self.info.cameras("video")) - set(self.info.cameras("image")))
        return [f"videos of {name!r} are not listed in info.json: not used" for name in extra]


_V3_FILE = ("chunk_index", "file_index")


def _is_span(start: Any, end: Any) -> bool:
    are_numbers = all(isinstance(v, int | float) and math.isfinite(v) for v in (start, end))
    return are_numbers and 0 <= start < end


def _duration_s(path: Path) -> float | str:
    """Length that the file's header gives; or, in words, why it cannot be opened."""
    try:
        with av.open(path) as container:
            streams = container.streams.video
            if not streams:
                return "holds no video"
            stream = streams[0]
            if stream.duration is not None and stream.time_base is not None:
                return float(stream.duration * stream.time_base)
            if container.duration is not None:
                return float(container.duration / av.time_base)
            return "does not say how long it is"
    except (av.FFmpegError, OSError, UnicodeDecodeError) as error:
        return f"cannot be opened ({getattr(error, 'strerror', None) or error})"


def pictures(root: Path, table: pa.Table, camera: str, where: str) -> NDArray[np.uint8]:
    """(T, H, W, 3) RGB of a column of pictures: encoded bytes, or names of files.

    Raises UnreadableEpisode, saying which frame, where one is absent, broken or of another size.
    """
    frames: list[NDArray[np.uint8]] = []
    for number, row in enumerate(table.column(camera).to_pylist()):
        entry = row if isinstance(row, dict) else {"path": row}
        try:
            data = entry.get("bytes") or (root / str(entry.get("path"))).read_bytes()
            with Image.open(io.BytesIO(data)) as picture:
                frames.append(np.asarray(picture.convert("RGB"), dtype=np.uint8))
        except (OSError, UnidentifiedImageError, ValueError) as error:
            raise UnreadableEpisode(f"{where}: {camera}, frame {number}: {error}") from error
        if frames[-1].shape != frames[0].shape:
            raise UnreadableEpisode(
                f"{where}: {camera}, frame {number} is {frames[-1].shape}, not {frames[0].shape}"
            )
    return np.stack(frames)
