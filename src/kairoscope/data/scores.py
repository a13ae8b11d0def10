"""Clips with a score from 1 to 5: a label file, or a dataset of conversations. Pure but for datasets.

    {"video": "a.mp4", "score": 4, "group": "prompt 17", "task": "falling", "duration_s": 2.5}

`video` (relative to the file's folder, or absolute) and `score` are required. A row that breaks a rule
is a `Problem` with its file and line, never a sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.answers.scores import parse_score
from kairoscope.core import Sample, Unparsed, UserError
from kairoscope.data.label_files import (
    LABELS_NAME,
    check_usable,
    duration_of,
    label_file,
    read_label_rows,
    video_as_written,
)
from kairoscope.data.messages import Messages, turns, user_parts
from kairoscope.data.rows import (
    Problem,
    check_keys,
    kind_of,
    optional,
    show,
    text,
)
from kairoscope.scale import HIGHEST, LOWEST, SCORES

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
    samples, bad = read_label_rows(
        file, lambda row, _: parse_score_row(row, file.parent), lambda sample: sample.id
    )
    check_usable(file, samples, bad, problems)
    return samples


def parse_score_row(row: Any, folder: Path) -> ScoreSample:
    """One row of a label file as JSON -> its sample. Raises UserError without file and line."""
    check_keys(row, ROW_KEYS, ("video", "score"), "a row")
    video = text(row, "video")
    duration_s = duration_of(row)
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
    row = {
        "video": video_as_written(sample.video, folder),
        "score": sample.gold,
        "group": sample.group,
        "task": sample.scenario,
        "duration_s": sample.duration_s,
        **more,
    }
    return {key: value for key, value in row.items() if value is not None}


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
