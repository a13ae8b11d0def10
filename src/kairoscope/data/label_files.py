"""What every label file has in common: JSON lines beside the clips, one row a clip. Pure."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from kairoscope.core import UserError
from kairoscope.data.rows import Problem, kind_of, optional, parse_json_line, read_lines, seconds
from kairoscope.storage import write_text_atomic

LABELS_NAME = "labels.jsonl"
Row = TypeVar("Row")


def label_file(path: Path) -> Path:
    """The label file that `path` means: the file itself, or `labels.jsonl` in the folder."""
    kind = kind_of(path)
    if kind == "nothing":
        raise UserError(f"{path}: no such file or folder; expected labels or a folder of them")
    if kind == "folder":
        file = path / LABELS_NAME
        if not file.is_file():
            raise UserError(f"{path}: the folder has no {LABELS_NAME}")
        return file
    if path.suffix.lower() != ".jsonl":
        raise UserError(f"{path}: a label file ends in .jsonl, not {path.suffix or 'nothing'!r}")
    return path


def read_label_rows(
    file: Path, parse: Callable[[Any, int], Row], video_of: Callable[[Row], str]
) -> tuple[list[Row], list[Problem]]:
    """Every row of a label file: the valid ones, and one problem for each of the others.

    Args:
        file: exists.
        parse: (row as JSON, line from 1 on) -> what it says; raises UserError without file and line.
        video_of: the clip that a row is about. Of two rows about one clip the later is the problem.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    line_of: dict[str, int] = {}
    for number, raw in read_lines(file):
        try:
            row = parse(parse_json_line(raw), number)
            video = video_of(row)
            first = line_of.setdefault(os.path.normpath(video), number)
            if first != number:
                raise UserError(
                    f"video {video!r} is already on line {first}; allowed: one row a clip"
                )
        except UserError as error:
            problems.append(Problem(where=f"{file}:{number}", what=str(error)))
        else:
            rows.append(row)
    return rows, problems


def check_usable(
    file: Path, rows: Sequence[object], bad: Sequence[Problem], problems: list[Problem] | None
) -> None:
    """Append bad rows to `problems`. Raises UserError for them without a list, and without a valid row."""
    if bad and problems is None:
        raise UserError(str(bad[0]) + (f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""))
    if problems is not None:
        problems.extend(bad)
    if not rows:
        reason = f"none of its {len(bad)} rows is valid; first: {bad[0]}" if bad else "it is empty"
        raise UserError(f"{file}: nothing to use: {reason}")


def duration_of(row: Mapping[str, Any]) -> float | None:
    """The seconds that a row says its clip lasts. Raises UserError for what is no duration."""
    duration_s = optional(row, "duration_s", seconds)
    if duration_s == 0:
        raise UserError("duration_s is 0; allowed: seconds above 0")
    return duration_s


def video_as_written(video: Path, folder: Path) -> str:
    """How a label file that lies in `folder` names a clip: relative where the clip lies inside it."""
    inside = video.is_relative_to(folder)
    return (video.relative_to(folder) if inside else video.absolute()).as_posix()


def write_rows(rows: Iterable[Mapping[str, Any]], file: Path) -> None:
    """Write rows as a label file, whole or not at all."""
    write_text_atomic(file, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
