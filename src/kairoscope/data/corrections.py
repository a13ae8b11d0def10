"""`corrections.jsonl`: the boundaries that a person set or accepted in an annotated folder. Pure.

    {"clip": "demo_3", "video": "clips/demo_3-1f.mp4", "task": "stack", "group": "demo_3",
     "events": [{"name": "grasping the red cube", "start_s": 0.0, "end_s": 2.4}], "duration_s": 6.0}

It is a label file (see `data.labels`) with one row a clip, so that everything that takes labels takes
it. `annotate` takes its rows for labels by hand when it is run again on the same folder.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.data.labels import LabelRow, parse_row, read_labels
from kairoscope.events import Query, aligned, nearest, starts_s
from kairoscope.json_lines import read_lines
from kairoscope.storage import canonical_json, write_text_atomic

NAME = "corrections.jsonl"
BY_HAND = "set or accepted by hand"


def read_corrections(folder: Path) -> dict[str, LabelRow]:
    """The corrections in a folder by clip, in the order of the file; empty where there are none.

    Raises UserError with file and line where a row is no label: what a person decided is not left
    out in silence.
    """
    file = folder / NAME
    if not file.exists():
        return {}
    rows, problems = read_labels(file)
    if problems:
        raise UserError(str(problems[0]))
    return {row.clip or row.group: row for row in rows}


def save_correction(folder: Path, row: Mapping[str, Any]) -> None:
    """Put a row into the file, in the place of an earlier one about the same clip.

    The whole new file is on disk when this returns, or the old one is. One process at a time.

    Raises UserError where the row is no label, or the file cannot be written.
    """
    parse_row(dict(row), 1)
    _rewrite(folder, str(row["clip"]), row)


def adopt_corrections(file: Path, folder: Path) -> None:
    """Put the rows of a label file, such as the corrections of another run, into a folder's.

    Clips that have a correction there already keep it. Raises UserError where a row is no label, or
    the file cannot be read or written.
    """
    rows, problems = read_labels(file)
    if problems:
        raise UserError(str(problems[0]))
    known = read_corrections(folder)
    for row in rows:
        clip = row.clip or row.group
        if clip in known:
            continue
        video = (file.parent.resolve() / row.video).resolve()
        adopted = {
            "clip": clip,
            "video": Path(os.path.relpath(video, folder.resolve())).as_posix()
            if video.exists()
            else row.video,
            "group": row.group,
            "task": row.task,
            "events": [
                {"name": event.name, "end_s": event.end_s}
                | ({} if event.start_s is None else {"start_s": event.start_s})
                for event in row.events
            ],
        }
        length = {} if row.duration_s is None else {"duration_s": row.duration_s}
        save_correction(folder, adopted | length)


def forget_correction(folder: Path, clip: str) -> None:
    """Take the row about a clip out. Raises UserError where the file cannot be written."""
    _rewrite(folder, clip, None)


def _rewrite(folder: Path, clip: str, row: Mapping[str, Any] | None) -> None:
    rows = {str(old.get("clip") or old["group"]): old for old in read_lines(folder / NAME)}
    if row is not None:
        rows[clip] = dict(row)
    elif rows.pop(clip, None) is None:
        return
    write_text_atomic(folder / NAME, "".join(canonical_json(one) + "\n" for one in rows.values()))


def labels_of(correction: LabelRow, query: Query) -> list[list[float] | None]:
    """(start s, end s) of each event of the query that a correction has, else None."""
    starts = {
        id(event): start_s
        for event, start_s in zip(correction.events, starts_s(correction.events), strict=True)
    }
    return [
        None if event is None else [round(starts[id(event)], 4), round(event.end_s, 4)]
        for event in aligned(correction.events, query)
    ]


def corrected_events(
    correction: LabelRow, query: Query, times_s: Sequence[float] | None = None
) -> list[dict[str, Any]]:
    """The events of a correction as rows of `clips.jsonl` hold events.

    Args:
        correction: of the clip.
        query: event names in order.
        times_s: of the clip's frames; None: frame numbers are not known.
    """
    rows: list[dict[str, Any]] = []
    for name, label in zip(query, labels_of(correction, query), strict=True):
        if label is None:
            continue
        frames = [None, None] if times_s is None else [nearest(times_s, t) for t in label]
        rows.append(
            {
                "event": name,
                "start_s": label[0],
                "end_s": label[1],
                "start_frame": frames[0],
                "end_frame": frames[1],
                "confidence": None,
                "start_interval_s": None,
                "end_interval_s": None,
                "flags": [],
                "source": "label",
                "reasons": [BY_HAND],
            }
        )
    return rows
