"""A folder of clips with `labels.jsonl` as a dataset like any other: videos and labels, no signals."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kairoscope.core import UnreadableClip, UserError
from kairoscope.data.clips import VIDEO_SUFFIXES, list_videos
from kairoscope.data.label_files import LABELS_NAME, label_file
from kairoscope.data.labels import LabelRow, read_labels
from kairoscope.robot.episode import Dataset, Episode, UnreadableEpisode, VideoSpan
from kairoscope.robot.opening import open_dataset
from kairoscope.video.clip import frame_times, probe

HDF5_SUFFIXES = (".hdf5", ".h5", ".hdf", ".he5")
CAMERA = "video"


@dataclass(frozen=True)
class FolderDataset:
    """Clips and their labels. See `kairoscope.robot.episode.Dataset`."""

    path: Path
    videos: Mapping[str, Path]
    """By episode: the name as seen from the folder."""
    labels: Mapping[str, LabelRow]
    notes: tuple[str, ...] = ()
    format: str = field(default="folder")

    @property
    def ids(self) -> tuple[str, ...]:
        """Every clip in the folder, and those that only a label names."""
        return tuple(self.videos)

    @cached_property
    def fps(self) -> float:
        """Of the first clip that can be read. Raises UserError where there is none."""
        reason = "it has no clips"
        for video in self.videos.values():
            try:
                return probe(video).fps
            except UnreadableClip as error:
                reason = str(error)
        raise UserError(f"{self.path}: not one clip can be read; {reason}")

    def episode(self, episode_id: str) -> Episode:
        """Read one clip's times and labels. Raises UnreadableEpisode."""
        video, row = self.videos[episode_id], self.labels.get(episode_id)
        try:
            times_s = frame_times(video)
        except UnreadableClip as error:
            raise UnreadableEpisode(str(error)) from error
        return Episode(
            id=episode_id,
            times_s=np.asarray(times_s),
            videos={CAMERA: VideoSpan(path=video)},
            events=row.events if row else (),
            labelled_by="human" if row else "unknown",
            source=row.group if row else None,
        )

    def pictures(self, episode_id: str, camera: str) -> NDArray[np.uint8]:
        """Raises UnreadableEpisode: there are only videos."""
        raise UnreadableEpisode(f"{self.path}: {episode_id}: no pictures of {camera!r}")


def open_folder(path: Path) -> FolderDataset:
    """Open a folder of clips, with or without `labels.jsonl`, or a label file.

    Raises UserError where it is neither.
    """
    videos: dict[str, Path] = {}
    if _has_videos(path):
        videos = {video.relative_to(path).as_posix(): video for video in list_videos(path)}
        if not (path / LABELS_NAME).is_file():
            return FolderDataset(path=path, videos=videos, labels={})
    file = label_file(path)
    rows, problems = read_labels(file)
    labels = {os.path.normpath(row.video): row for row in rows}
    videos |= {name: file.parent / name for name in labels if name not in videos}
    notes = tuple(f"label left out: {problem}" for problem in problems)
    return FolderDataset(path=path, videos=videos, labels=labels, notes=notes)


def _has_videos(path: Path) -> bool:
    return path.is_dir() and any(p.suffix.lower() in VIDEO_SUFFIXES for p in path.rglob("*"))


def looks_like_dataset(path: Path) -> bool:
    """Whether robots recorded this: HDF5 by its name or first bytes, or a LeRobot folder."""
    if path.is_dir():
        return (path / "meta" / "info.json").is_file() or any(path.glob("train/*.arrow"))
    if path.suffix.lower() in HDF5_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"
    except OSError:
        return False


def open_any(path: Path, *, fps: float | None = None) -> Dataset:
    """Open a robot dataset of any format, or a folder of clips, with or without `labels.jsonl`.

    Raises UserError that says what was found where it is neither.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected a dataset")
    if not looks_like_dataset(path) and (
        path.suffix.lower() == ".jsonl" or (path / LABELS_NAME).is_file() or _has_videos(path)
    ):
        return open_folder(path)
    return open_dataset(path, fps=fps)
