"""A LeRobot dataset, opened: what it lists, and one episode at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.robot.episode import Episode, UnreadableEpisode
from kairoscope.robot.lerobot.frames import edges, signals
from kairoscope.robot.lerobot.info import Info, read_info
from kairoscope.robot.lerobot.labels import Labels, Tables, read_labels, read_marks, read_table
from kairoscope.robot.lerobot.listing import Fields, Listing, read_listing
from kairoscope.robot.lerobot.parts import Range, read_modality
from kairoscope.robot.lerobot.rows import LANGUAGE, DataFiles, data_path, values
from kairoscope.robot.lerobot.videos import Videos, pictures

RATE_TOLERANCE = 0.02
EPISODES_ASKED_FOR_RATE = 3


def episode_id(index: int) -> str:
    """`episode_000021`, as the files of v2 are called."""
    return f"episode_{index:06d}"


@dataclass(frozen=True)
class LeRobotDataset:
    """A dataset of v2.0, v2.1 or v3.0 on disk. See `kairoscope.robot.episode.Dataset`."""

    path: Path
    info: Info
    listing: Listing
    tables: Tables
    ranges: Mapping[str, Sequence[Range]]
    reading_notes: tuple[str, ...]
    """What was odd about the lists and tables."""
    given_fps: float | None = None
    """What the caller says, against info.json and timestamps."""

    @property
    def format(self) -> str:
        """Such as `lerobot v2.1`."""
        return f"lerobot {self.info.version}"

    @cached_property
    def ids(self) -> Sequence[str]:
        """Every episode that is listed, or has a data file, by index."""
        return tuple(episode_id(index) for index in self.listing.indices)

    @cached_property
    def missing(self) -> Sequence[str]:
        """Those of `ids` that have no data file: the folder holds a part of the dataset."""
        return tuple(
            episode_id(index)
            for index, fields in self.listing.rows.items()
            if not self._has_data(index, fields)
        )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What is odd about the dataset as a whole, in words."""
        missing = [f"{len(self.missing)} of {len(self.ids)} episodes have no data file"]
        return (
            *self.info.notes,
            *self.reading_notes,
            *self.listing.notes,
            *self._rate[1],
            *self._files.unlisted(),
            *self._cameras_without_files(),
            *(missing if self.missing else ()),
        )

    @property
    def fps(self) -> float:
        """Frames a second: what the timestamps say where info.json differs from them.

        Raises UserError where neither info.json nor the timestamps of an episode say it.
        """
        return self._rate[0]

    def episode(self, episode_id: str) -> Episode:
        """Read one episode. Raises UnreadableEpisode, naming the file and what is wrong."""
        index, fields = self._place(episode_id)
        table = self._data.rows(index, fields)
        where = str(data_path(self.info, index, fields))
        edges_s, notes = self._edges(table, where)
        spans, without = self._files.spans(index, fields)
        videos, unfit = self._files.compared(spans, table.num_rows, self.fps)
        labels, odd = read_labels(index, fields, table, edges_s, self.tables)
        channels, left_out = signals(table, self.info.features, self.ranges)
        numbered = values(table, "episode_index") if "episode_index" in table.column_names else ""
        if isinstance(numbered, np.ndarray) and numbered[0, 0] != index:
            notes.append(f"its rows say that they are of episode {numbered[0, 0]:g}")
        listed = fields.get("length")
        if listed is not None and listed != table.num_rows:
            notes.append(f"the list of episodes says {listed} frames, there are {table.num_rows}")
        return Episode(
            id=episode_id,
            times_s=edges_s[:-1],
            channels=channels,
            videos=videos,
            cameras_in_file=self.info.cameras("image"),
            task=self._task(fields, table),
            events=labels.events,
            labelled_by=labels.labelled_by,
            notes=(*notes, *odd, *left_out, *without, *unfit),
        )

    def labels(self, episode_id: str) -> tuple[Labels, NDArray[np.float64]]:
        """Labels of an episode and (T + 1,) times of its frames and its end, read without signals.

        Raises UnreadableEpisode.
        """
        index, fields = self._place(episode_id)
        wanted = ("timestamp", "frame_index", "subtask_index", LANGUAGE[0])
        table = self._data.rows(index, fields, wanted)
        edges_s, _ = self._edges(table, str(data_path(self.info, index, fields)))
        return read_labels(index, fields, table, edges_s, self.tables)[0], edges_s

    def pictures(self, episode_id: str, camera: str) -> NDArray[np.uint8]:
        """(T, H, W, 3) RGB of a camera whose pictures lie in the data files."""
        index, fields = self._place(episode_id)
        path = data_path(self.info, index, fields)
        table = self._data.rows(index, fields, (camera,))
        if camera not in table.column_names:
            known = ", ".join(self.info.cameras("image")) or "none"
            raise UnreadableEpisode(f"{path}: no pictures of {camera!r}; there are {known}")
        return pictures(self.path, table, camera, str(path))

    def _edges(self, table: pa.Table, where: str) -> tuple[NDArray[np.float64], list[str]]:
        return edges(table, self.fps, where, by_number=self.given_fps is not None)

    @cached_property
    def _data(self) -> DataFiles:
        return DataFiles(self.info)

    @cached_property
    def _files(self) -> Videos:
        return Videos(self.info)

    def _place(self, wanted: str) -> tuple[int, Fields]:
        number = wanted.removeprefix("episode_")
        index = int(number) if number.isdecimal() else -1
        if index not in self.listing.rows:
            raise UnreadableEpisode(f"{self.path}: no episode {wanted!r}")
        return index, self.listing.rows[index]

    def _has_data(self, index: int, fields: Fields) -> bool:
        try:
            return data_path(self.info, index, fields).is_file()
        except UnreadableEpisode:
            return False

    def _cameras_without_files(self) -> list[str]:
        """Cameras of info.json of which no episode that has data has a video."""
        without = set(self.info.cameras("video"))
        for index, fields in self.listing.rows.items():
            if not without:
                break
            if self._has_data(index, fields):
                without -= set(self._files.spans(index, fields)[0])
        return [f"info.json lists camera {name!r}, which has no video" for name in sorted(without)]

    @cached_property
    def _rate(self) -> tuple[float, tuple[str, ...]]:
        """Frames a second, and a note where info.json says otherwise."""
        if self.given_fps is not None:
            return self.given_fps, ()
        said, measured = self.info.fps, self._measured_fps()
        if measured is None:
            if said is None:
                raise UserError(
                    f"{self.path}: neither info.json nor timestamps tell the frame rate"
                )
            return said, ()
        if said is None:
            return measured, ()
        if abs(measured / said - 1) <= RATE_TOLERANCE:
            return said, ()
        note = f"info.json says {said:g} frames a second, the timestamps {measured:g}: took those"
        return measured, (note,)

    def _measured_fps(self) -> float | None:
        """What the timestamps of the first episodes that can be read say, to 0.01; None: nothing."""
        asked = 0
        for index, fields in self.listing.rows.items():
            if asked == EPISODES_ASKED_FOR_RATE:
                break
            if not self._has_data(index, fields):
                continue
            asked += 1
            try:
                table = self._data.rows(index, fields, ("timestamp",))
            except UnreadableEpisode:
                continue  # named when the episode itself is read
            times = values(table, "timestamp") if "timestamp" in table.column_names else ""
            steps = np.diff(times[:, 0]) if isinstance(times, np.ndarray) else np.zeros(0)
            if len(steps) > 1 and np.isfinite(steps).all() and np.median(steps) > 0:
                return round(1 / float(np.median(steps)), 2)
        return None

    def _task(self, fields: Fields, table: pa.Table) -> str:
        """Instruction: what the list of episodes says; of several, the one its frames point to."""
        texts = fields.get("tasks") or []
        listed = [str(text) for text in (texts if isinstance(texts, list) else (texts,))]
        if len(listed) == 1:
            return listed[0]
        found = values(table, "task_index") if "task_index" in table.column_names else ""
        number = found[0, 0] if isinstance(found, np.ndarray) else np.nan
        pointed = self.tables.tasks.get(int(number), "") if np.isfinite(number) else ""
        if listed:
            return pointed if pointed in listed else listed[0]
        return pointed


def open_files(path: Path | str, fps: float | None = None) -> LeRobotDataset:
    """Open a dataset of v2.0, v2.1 or v3.0. See `open_lerobot`."""
    root = Path(path)
    info = read_info(root)
    notes: list[str] = []
    tables = Tables(
        tasks=read_table(root, "tasks", notes),
        subtasks=read_table(root, "subtasks", notes),
        marks=read_marks(root),
    )
    return LeRobotDataset(
        path=root,
        info=info,
        listing=read_listing(info),
        tables=tables,
        ranges=read_modality(root, notes),
        reading_notes=tuple(notes),
        given_fps=fps,
    )
