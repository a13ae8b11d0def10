"""Labels of an episode as LeRobot keeps them, in three forms, and who made them.

    SARM        `dense_subtask_names`, `_start_times`, `_end_times`, ... of the episode's row
    language    rows of style `subtask` in the column `language_persistent`, each with its start
    subtasks    the column `subtask_index`, a number a frame, and the table `meta/subtasks.parquet`

The first one that an episode has is taken, in this order: SARM's columns hold exact times, the
others only starts or frames. `meta/kairoscope.json` says which labels were written by Kairoscope
and what they were; labels that have changed since are somebody else's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kairoscope.core import UserError
from kairoscope.events import Event, Events, starts_s
from kairoscope.robot.lerobot.listing import DAMAGE, Fields, json_lines
from kairoscope.robot.lerobot.rows import LANGUAGE, values
from kairoscope.storage import read_json

SUBTASKS = "meta/subtasks.parquet"
CONFIDENCES = "meta/kairoscope_confidences.jsonl"
"""One row an episode that Kairoscope labelled: how sure it is of each event. lerobot has no place for it."""
MARKS = "meta/kairoscope.json"
MOST_ROWS = 1_000_000
"""Of a table of texts: a larger index is damage, not a text."""
PREFIXES = ("dense", "sparse")
SARM_COLUMNS = (
    "subtask_names",
    "subtask_start_times",
    "subtask_end_times",
    "subtask_start_frames",
    "subtask_end_frames",
)
Form = Literal["dense", "sparse", "legacy", "language", "subtask_index", "none"]
LabelledBy = Literal["human", "kairoscope", "unknown"]
Frames = tuple[tuple[str, int, int], ...]
"""(name, first frame, frame at which it is done) of each event."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What Kairoscope wrote for an episode."""

    labelled_by: LabelledBy
    written: tuple[Frames, ...]
    """The labels as written; while a write is under way, also those that it replaces."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What labels and instructions are looked up in."""

    tasks: Mapping[int, str]
    subtasks: Mapping[int, str]
    marks: Mapping[int, Mark]


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of an episode, where they were found, and who made them."""

    events: Events = ()
    form: Form = "none"
    labelled_by: LabelledBy = "unknown"


def read_table(root: Path, what: str, notes: list[str]) -> dict[int, str]:
    """`tasks` or `subtasks`, from `meta/<what>.parquet` or `.jsonl`: index -> text."""
    name = what.removesuffix("s")
    parquet = root / "meta" / f"{what}.parquet"
    if parquet.is_file():
        try:
            columns = pq.ParquetFile(parquet).read().to_pydict()
        except DAMAGE as error:
            reason = (str(error).splitlines() or [""])[0]
            notes.append(f"meta/{what}.parquet: cannot be read ({reason})")
            return {}
        texts = [column for column in columns if column != f"{name}_index"]
        text = name if name in texts else next(iter(texts), None)
        if text is None or f"{name}_index" not in columns:
            notes.append(f"meta/{what}.parquet: has columns {list(columns)}")
            return {}
        found = zip(columns[f"{name}_index"], columns[text], strict=True)
        return {index: str(text) for index, text in found if _is_row(index)}
    jsonl = root / "meta" / f"{what}.jsonl"
    if not jsonl.is_file():
        return {}
    rows = [row for _, row in json_lines(jsonl, notes)]
    named = [row for row in rows if _is_row(row.get(f"{name}_index"))]
    return {row[f"{name}_index"]: str(row.get(name, "")) for row in named}


def _is_row(index: Any) -> bool:
    return type(index) is int and 0 <= index < MOST_ROWS


def read_marks(root: Path) -> dict[int, Mark]:
    """`meta/kairoscope.json`; empty where there is none. Raises UserError where it is damaged."""
    path = root / MARKS
    if not path.is_file():
        return {}
    raw = read_json(path)
    try:
        return {
            int(index): Mark(
                labelled_by="human" if mark["labelled_by"] == "human" else "kairoscope",
                written=tuple(
                    tuple((str(n), int(a), int(b)) for n, a, b in labels)
                    for labels in (mark["labels"], mark.get("replaced"))
                    if labels is not None
                ),
            )
            for index, mark in raw["episodes"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: is not as Kairoscope writes it ({error!r})") from error


def read_labels(
    index: int, fields: Fields, table: pa.Table, edges_s: NDArray[np.float64], tables: Tables
) -> tuple[Labels, list[str]]:
    """Labels of an episode, and notes.

    Args:
        index: of the episode.
        fields: its row of the list of episodes.
        table: its frames.
        edges_s: (T + 1,) times of its frames and its end.
        tables: of the dataset.
    """
    notes: list[str] = []
    form: Form = "none"
    events: Events = ()
    for prefix in (*PREFIXES, "legacy"):
        events = _from_sarm(fields, prefix, notes)
        if events:
            form = prefix  # type: ignore[assignment]
            break
    if not events and (events := _from_language(table, edges_s)):
        form = "language"
    if not events and (events := _from_frames(table, edges_s, tables.subtasks, notes)):
        form = "subtask_index"
    mark = tables.marks.get(index)
    if mark is None or not events:
        return Labels(events, form), notes
    frames = to_frames(events, edges_s)
    written = [_names(labels, edges_s) for labels in mark.written]
    if form == "subtask_index":  # a write that was killed before it came to SARM's columns
        is_ours = _names(frames, edges_s) in written
        return Labels(events, form, mark.labelled_by if is_ours else "unknown"), notes
    if frames not in mark.written:
        return Labels(events, form), notes
    changed = _from_frames(table, edges_s, tables.subtasks, [])
    if changed and _names(to_frames(changed, edges_s), edges_s) not in written:
        notes.append("subtask_index has been changed since Kairoscope wrote it: taken as it is now")
        return Labels(changed, "subtask_index"), notes
    return Labels(events, form, mark.labelled_by), notes


def _names(frames: Frames, edges_s: NDArray[np.float64]) -> list[str]:
    return [frames[place][0] for place in per_frame(frames, len(edges_s) - 1)]


def sarm_column(prefix: str, column: str) -> str:
    """`dense_subtask_names`; the older `subtask_names` for the prefix `legacy`."""
    return column if prefix == "legacy" else f"{prefix}_{column}"


def _from_sarm(fields: Fields, prefix: str, notes: list[str]) -> Events:
    names, starts, ends = (fields.get(sarm_column(prefix, c)) or [] for c in SARM_COLUMNS[:3])
    if not names or (list(names) == ["task"] and prefix != "dense"):
        return ()  # one stage called `task` is what SARM's tool writes where nobody labelled
    if not _are_times(starts, len(names)) or not _are_times(ends, len(names)):
        notes.append(f"{sarm_column(prefix, 'subtask_*')}: lists of unequal length or not numbers")
        return ()
    times = zip(names, starts, ends, strict=True)
    return tuple(Event(str(n), float(a), float(b)) for n, a, b in times)


def _are_times(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(v, int | float) and math.isfinite(v) for v in values)
    )


def _from_language(table: pa.Table, edges_s: NDArray[np.float64]) -> Events:
    """Subtasks of the first frame's `language_persistent`, which every frame repeats."""
    if LANGUAGE[0] not in table.column_names or "timestamp" not in table.column_names:
        return ()
    first = table.slice(0, 1)
    rows = first.column(LANGUAGE[0]).to_pylist()[0]
    times = values(first, "timestamp")
    origin_s = 0.0 if isinstance(times, str) else float(times[0, 0])
    subtasks = [
        row
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
        and row.get("style") == "subtask"
        and isinstance(row.get("timestamp"), int | float)
    ]
    starts = sorted(
        (max(0.0, float(row["timestamp"]) - origin_s), str(row.get("content"))) for row in subtasks
    )
    ends = [start for start, _ in starts[1:]] + [float(edges_s[-1])]
    return tuple(Event(n, start, end) for (start, n), end in zip(starts, ends, strict=False))


def _from_frames(
    table: pa.Table, edges_s: NDArray[np.float64], subtasks: Mapping[int, str], notes: list[str]
) -> Events:
    """Runs of equal `subtask_index`; numbers that the table does not name are no label."""
    if "subtask_index" not in table.column_names:
        return ()
    found = values(table, "subtask_index")
    if isinstance(found, str):
        notes.append(f"subtask_index {found}: no label")
        return ()
    numbers = whole_numbers(found)
    unnamed = sorted({int(n) for n in np.unique(numbers) if n >= 0} - set(subtasks))
    if unnamed:
        notes.append(f"subtask_index {unnamed[:5]} is in no table of subtasks: no label")
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    runs = pairwise([*starts.tolist(), len(numbers)])
    return tuple(
        Event(subtasks[number], float(edges_s[start]), float(edges_s[end]))
        for start, end in runs
        if subtasks.get(number := int(numbers[start]))
    )


def whole_numbers(column: NDArray[np.float64]) -> NDArray[np.int64]:
    """(T,) the first number of each row; -1 for those that are not finite or below 0."""
    first = column[:, 0]
    is_one = np.isfinite(first) & (first >= 0)
    numbers: NDArray[np.int64] = np.where(is_one, first, -1).astype(np.int64)
    return numbers


def to_frames(events: Sequence[Event], edges_s: NDArray[np.float64]) -> Frames:
    """Events in frames: first frame, and the frame at whose time the event ends (T: never).

    Args:
        events: in order.
        edges_s: (T + 1,) times of the frames and the end of the episode.
    """
    middles = (edges_s[1:] + edges_s[:-1]) / 2
    starts = np.searchsorted(middles, np.array(starts_s(events), dtype=np.float64))
    ends = np.searchsorted(middles, np.array([event.end_s for event in events], dtype=np.float64))
    return tuple(
        (event.name, int(a), int(b)) for event, a, b in zip(events, starts, ends, strict=True)
    )


def per_frame(frames: Frames, num_frames: int) -> NDArray[np.int64]:
    """(num_frames,) which event each frame belongs to, -1 where there is no event at all.

    As LeRobot's own annotation has it, every frame belongs to one event: a gap, and what follows the
    last event, to the event before it; what comes before the first event to that one. Where events
    overlap, a frame belongs to the one that ends first.
    """
    places = np.full(num_frames, -1, dtype=np.int64)
    for place in sorted(range(len(frames)), key=lambda p: (-frames[p][2], -p)):
        places[frames[place][1] : frames[place][2]] = place
    labelled = np.flatnonzero(places >= 0)
    if len(labelled) == 0:
        return np.full(num_frames, -1 if not frames else 0, dtype=np.int64)
    before = np.searchsorted(labelled, np.arange(num_frames), side="right") - 1
    filled: NDArray[np.int64] = places[labelled[np.maximum(before, 0)]]
    return filled
