"""Clips with a score from 1 to 5: a label file, or a dataset of conversations. Pure but for datasets.

    {"video": "a.mp4", "score": 4, "group": "prompt 17", "task": "falling", "duration_s": 2.5}

`video` (relative to the file's folder, or absolute) and `score` are required. A row that breaks a rule
is a `Problem` with its file and line, never a sample.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.answers.scores import parse_score
from kairoscope.core import Sample, Unparsed, UserError
from kairoscope.data.labels import LABELS_NAME, label_file
from kairoscope.data.messages import Messages, turns, user_parts
from kairoscope.data.rows import (
    Problem,
    check_keys,
    kind_of,
    optional,
    parse_json_line,
    read_lines,
    seconds,
    show,
    text,
)
from kairoscope.scale import HIGHEST, LOWEST, SCORES
from kairoscope.storage import write_text_atomic

Question = tuple[()]
"""The same question about every clip: there is nothing to say."""
ScoreSample = Sample[Question, int]
ROW_KEYS = ("video", "score", "group", "task", "duration_s", "caption", "violation", "url", "seed")
SCENARIO = "videos"
"""What clips are called that nobody has sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredConversation:
    """One row of a dataset of conversations."""

    sample: ScoreSample
    messages: Messages


def load_scored(
    path: Path,
    problems: list[Problem] | None = None,
    *,
    column: str | None = None,
    split: str | None = None,
) -> list[ScoreSample]:
    """Samples of a folder with `labels.jsonl`, a label file, or a dataset of conversations.

    With a list of `problems`, bad rows are appended to it and left out; without, the first bad
    row raises. Clips are not opened.

    Raises:
        UserError: none of these, a bad row and no list to put it in, or not one usable row.
    """
    if kind_of(path) == "folder" and not (path / LABELS_NAME).is_file():
        from kairoscope.data.conversations import COLUMN, is_dataset, read_rows

        if is_dataset(path):
            rows = read_rows(path, column or COLUMN, _conversation, split=split, problems=problems)
            return [row.sample for row in rows]
        raise UserError(
            f"{path}: holds no data; expected {LABELS_NAME}, or what datasets.save_to_disk wrote"
        )
    return _read_labels(label_file(path), problems)


def _read_labels(file: Path, problems: list[Problem] | None) -> list[ScoreSample]:
    samples: list[ScoreSample] = []
    bad: list[Problem] = []
    line_of: dict[str, int] = {}
    for number, raw in read_lines(file):
        try:
            sample = parse_score_row(parse_json_line(raw), file.parent)
            first = line_of.setdefault(os.path.normpath(sample.id), number)
            if first != number:
                raise UserError(
                    f"video {sample.id!r} is already on line {first}; allowed: one row a clip"
                )
        except UserError as error:
            bad.append(Problem(where=f"{file}:{number}", what=str(error)))
        else:
            samples.append(sample)
    if bad and problems is None:
        raise UserError(str(bad[0]) + (f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""))
    if problems is not None:
        problems.extend(bad)
    if not samples:
        reason = f"none of its {len(bad)} rows is valid; first: {bad[0]}" if bad else "it is empty"
        raise UserError(f"{file}: nothing to use: {reason}")
    return samples


def parse_score_row(row: Any, folder: Path) -> ScoreSample:
    """One row of a label file as JSON -> its sample. Raises UserError without file and line."""
    check_keys(row, ROW_KEYS, ("video", "score"), "a row")
    video = text(row, "video")
    duration_s = optional(row, "duration_s", seconds)
    if duration_s == 0:
        raise UserError("duration_s is 0; allowed: seconds above 0")
    return Sample(
        id=video,
        video=folder / video,
        query=(),
        gold=checked_score(row["score"]),
        group=optional(row, "group", text) or video,
        scenario=optional(row, "task", text) or SCENARIO,
        duration_s=duration_s,
    )


def checked_score(value: Any) -> int:
    """A whole score. Raises UserError for anything else; 3.5 is not rounded."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value not in SCORES:
        raise UserError(
            f"score is {show(value)}; allowed: a whole number from {LOWEST} to {HIGHEST}"
        )
    return int(value)


def score_row(sample: ScoreSample, folder: Path, **more: Any) -> dict[str, Any]:
    """One sample as the JSON object of its row in a label file that lies in `folder`."""
    inside = sample.video.is_relative_to(folder)
    video = sample.video.relative_to(folder) if inside else sample.video.absolute()
    row = {
        "video": video.as_posix(),
        "score": sample.gold,
        "group": sample.group,
        "task": sample.scenario,
        "duration_s": sample.duration_s,
        **more,
    }
    return {key: value for key, value in row.items() if value is not None}


def write_score_rows(rows: Iterable[Mapping[str, Any]], file: Path) -> None:
    """Write rows of `score_row` as a label file, whole or not at all."""
    write_text_atomic(file, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _conversation(row: Mapping[str, Any], messages: Messages) -> ScoredConversation:
    """Raises UserError where the assistant's text holds no score."""
    _, user, answer = turns(messages)
    [video] = [part["video"] for part in user_parts(user) if part["type"] == "video"]
    score = parse_score(answer)
    if isinstance(score, Unparsed):
        raise UserError(f"answer {show(answer)}: {score.reason}")

    def own(key: str) -> str | None:
        value = row.get(key)
        return value if isinstance(value, str) and value else None

    sample: ScoreSample = Sample(
        id=own("id") or video,
        video=Path(video),
        query=(),
        gold=score,
        group=own("group") or video,
        scenario=own("scenario") or SCENARIO,
        duration_s=row.get("duration_s"),
    )
    return ScoredConversation(sample=sample, messages=messages)
