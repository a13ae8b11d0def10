"""One write of chosen labels: every file of a dataset that they change, and copies of the others."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.robot.episode import UnreadableEpisode
from kairoscope.robot.lerobot.choose import Choice, names_in_order
from kairoscope.robot.lerobot.dataset import LeRobotDataset
from kairoscope.robot.lerobot.files import (
    atomically,
    copy_file,
    rewrite,
    source_files,
    unchanged,
    write_text,
)
from kairoscope.robot.lerobot.info import INFO
from kairoscope.robot.lerobot.labels import (
    CONFIDENCES,
    MARKS,
    MOST_ROWS,
    SUBTASKS,
    per_frame,
    whole_numbers,
)
from kairoscope.robot.lerobot.listing import Fields, data_files
from kairoscope.robot.lerobot.rows import DataFile, data_path, readable, values
from kairoscope.robot.lerobot.sarm import write_proportions, write_v2, write_v3
from kairoscope.robot.lerobot.stats import Counts, keys_like, stats_of, total
from kairoscope.storage import read_json

COLUMN = "subtask_index"
STATS = "meta/stats.json"
NO_SUBTASK = ""
"""Text of frames without a label. They need a row of the table: lerobot looks up the row of every
frame, and takes -1 for the last one."""


class Labelling:
    """What is to be written, and which files have been."""

    def __init__(
        self,
        dataset: LeRobotDataset,
        copy: LeRobotDataset | None,
        target: Path,
        choices: Sequence[Choice],
        prefix: str,
    ) -> None:
        self.notes: list[str] = []
        self._dataset = dataset
        self._source = dataset.path
        self._target = target
        self._choices = {choice.index: choice for choice in choices}
        self._prefix = prefix
        self._made = {MARKS, INFO, CONFIDENCES}
        self._counts: dict[int, Counts] = {}
        self._texts = _texts(dataset)
        if copy is not None and _texts(copy)[: len(self._texts)] == self._texts:
            self._texts = _texts(copy)  # only ever longer: frames that point into it stay right
        self._texts += [name for name in names_in_order(choices) if name not in self._texts]

    def write(self) -> None:
        """Write all files that the labels change, but info.json and the marks."""
        if not any(choice.events for choice in self._choices.values()):
            return
        if any(choice.num_frames and not choice.events for choice in self._choices.values()):
            self._number(NO_SUBTASK)
        self._write_subtasks()  # before the frames, so that none ever points past its end
        for path, only in self._data_paths():
            try:
                self._label_frames(path, only)
            except UnreadableEpisode as error:
                self._leave(path, str(error))
        self._write_subtasks()
        where = (self._source, self._target, self._prefix, self._choices, self._counts)
        if self._dataset.info.layout == 2:
            self._made.update(write_v2(*where))
        else:
            self._made.update(write_v3(*where, self.notes))
        self._write_stats()
        self._made.update(write_proportions(self._source, self._target, self._prefix, self.choices))

    @property
    def choices(self) -> list[Choice]:
        """What has become of every episode."""
        return list(self._choices.values())

    def copy_the_rest(self, *, link_videos: bool = True) -> None:
        """Copy, or link, every file that `write` did not make, but info.json."""
        for name in source_files(self._source):
            if name.as_posix() not in self._made:
                copy_file(self._source / name, self._target / name, link=link_videos)

    def write_info(self) -> None:
        """info.json, with the feature `subtask_index` where frames have one. The last file."""
        raw = read_json(self._source / INFO)
        features = raw.get("features", {})
        if not self._counts or COLUMN in features:
            if self._target != self._source:
                copy_file(self._source / INFO, self._target / INFO)
            return
        like = features.get("task_index")
        feature: dict[str, Any] = {"dtype": "int64", "shape": [1], "names": None}
        if isinstance(like, dict) and "fps" in like:
            feature["fps"] = like["fps"]
        raw["features"] = {**features, COLUMN: feature}
        write_text(self._target / INFO, json.dumps(raw, indent=4, ensure_ascii=False))

    def _data_paths(self) -> list[tuple[Path, int | None]]:
        """Every data file, with its episode where a file holds one."""
        info = self._dataset.info
        if info.layout == 3:
            return [(path, None) for path in data_files(info)]
        paths = [(data_path(info, index, {}), index) for index in self._choices]
        return [(path, index) for path, index in paths if path.is_file()]

    def _leave(self, path: Path, reason: str) -> None:
        """Take the labels back that a damaged data file was to get."""
        self.notes.append(reason)
        info = self._dataset.info
        for index, choice in self._choices.items():
            if choice.num_frames and data_path(info, index, self._fields(index)) == path:
                self._choices[index] = Choice(index=index, outcome="problem", reason=reason)

    def _fields(self, index: int) -> Fields:
        return self._dataset.listing.rows[index]

    def _label_frames(self, path: Path, only: int | None) -> None:
        """Write a data file with `subtask_index`, where it is not what it should be already.

        Raises UnreadableEpisode where the file is damaged.
        """
        name = path.relative_to(self._source).as_posix()
        file = DataFile(path)
        num_rows = file.num_rows
        before = _numbers(file)
        spans, torn = ({only: (0, num_rows)}, set()) if only is not None else file.spans()
        numbers = before if before is not None else np.full(num_rows, -1, dtype=np.int64)
        for index, (start, end) in spans.items():
            choice = self._choices.get(index)
            if choice is not None and index not in torn and choice.num_frames == end - start:
                numbers[start:end] = self._numbers_of(choice, numbers[start:end])
        if (numbers < 0).any() and before is None:
            numbers[numbers < 0] = self._number(NO_SUBTASK)
        column = {COLUMN: pa.array(numbers, type=pa.int64())}
        with readable(path):
            if not unchanged(path, column):
                rewrite(path, self._target / name, column)
                self._made.add(name)
        for index, (start, end) in spans.items():
            part = np.maximum(numbers[start:end], 0)
            if end > start and part.max() < MOST_ROWS:
                self._counts[index] = np.bincount(part)

    def _numbers_of(self, choice: Choice, before: NDArray[np.int64]) -> NDArray[np.int64]:
        """(T,) `subtask_index` of an episode. Labels that stay keep the numbers that they have."""
        has_some = bool((before >= 0).any())
        if not choice.events or (choice.as_it_is and has_some):
            return before
        numbers = np.array([self._number(name) for name, _, _ in choice.frames], dtype=np.int64)
        return numbers[per_frame(choice.frames, choice.num_frames)]

    def _number(self, text: str) -> int:
        if text not in self._texts:
            self._texts.append(text)
        return self._texts.index(text)

    def _write_subtasks(self) -> None:
        """`meta/subtasks.parquet`, as pandas writes a table whose index is the text."""
        known = self._dataset.tables.subtasks
        if (self._source / SUBTASKS).is_file() and dict(enumerate(self._texts)) == known:
            return
        columns = [
            {"name": COLUMN, "pandas_type": "int64", "numpy_type": "int64"},
            {"name": "subtask", "pandas_type": "unicode", "numpy_type": "object"},
        ]
        pandas = {
            "index_columns": ["subtask"],
            "column_indexes": [],
            "columns": [{**c, "field_name": c["name"], "metadata": None} for c in columns],
        }
        table = pa.table(
            {
                COLUMN: pa.array(range(len(self._texts)), type=pa.int64()),
                "subtask": pa.array(self._texts, type=pa.string()),
            },
            metadata={"pandas": json.dumps(pandas)},
        )
        with atomically(self._target / SUBTASKS) as temporary:
            pq.write_table(table, temporary)
        self._made.add(SUBTASKS)

    def _write_stats(self) -> None:
        if not self._counts or not (self._source / STATS).is_file():
            return
        try:
            stats = read_json(self._source / STATS)
        except UserError as error:
            stats = None
            self.notes.append(str(error))
        if not isinstance(stats, dict):
            self.notes.append(f"{STATS}: is not a JSON object: left as it is")
            return
        counts = total(list(self._counts.values()))
        stats[COLUMN] = stats_of(counts, keys_like(stats))
        write_text(self._target / STATS, json.dumps(stats, indent=4, ensure_ascii=False))
        self._made.add(STATS)


def _texts(dataset: LeRobotDataset) -> list[str]:
    """The table of subtasks by row."""
    known = dataset.tables.subtasks
    return [known.get(row, NO_SUBTASK) for row in range(max(known, default=-1) + 1)]


def _numbers(file: DataFile) -> NDArray[np.int64] | None:
    """(rows,) `subtask_index` of a data file, -1 where it is empty; None where it has no such column.

    Raises UnreadableEpisode.
    """
    if COLUMN not in file.file.schema_arrow.names:
        return None
    with readable(file.path):
        table = file.file.read(columns=[COLUMN], use_threads=False)
    found = values(table, COLUMN)
    if isinstance(found, str):
        raise UnreadableEpisode(f"{file.path}: {COLUMN} {found}: left as it is")
    return whole_numbers(found)
