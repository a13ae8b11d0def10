"""Anybody's answers, in a file, scored against a label file. Needs no clips and no model.

    {"video": "a.mp4", "trial": 0, "text": "raw answer"}
    {"video": "a.mp4", "trial": 0, "events": [{"name": "...", "start_s": 0.0, "end_s": 2.1}]}

`trial` is 0 where it is not given; other keys are ignored. Every clip of the label file counts in
every trial that the file has: one without an answer is scored at the worst value.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.answers import parse_event_rows, parse_events
from kairoscope.core import Record, Unparsed, UserError
from kairoscope.data.labels import LabelRow, read_labels
from kairoscope.data.rows import Problem, parse_json_line, read_lines, show
from kairoscope.events import Events, Query, events_to_json
from kairoscope.metrics import answer_scores, event_errors, summarize

MAX_SHOWN = 50
"""Problems that are listed one by one; all are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One valid row of a prediction file."""

    video: str
    trial: int
    text: str | None
    events: Sequence[Any] | None
    line: int
    """1-based."""


def score_predictions(
    predictions_path: Path, gold_path: Path, *, draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """The object of `metrics.json` for a prediction file, with the problems met on the way.

    A `video` is matched as it is written, else by its file name where that is unique on both
    sides. Rows that cannot be used, repeat a (video, trial) or are about a clip without labels
    are counted under `problems`, by kind, and listed.

    Raises:
        UserError: a file that is missing or cannot be read, or not one usable row in either, or
            not one prediction about a labelled clip.
    """
    labels, label_problems = read_labels(gold_path)
    if not labels:
        first = f"; first: {label_problems[0]}" if label_problems else ""
        raise UserError(f"{gold_path}: no valid row of labels{first}")
    predictions, row_problems = read_predictions(predictions_path)
    answers, match_problems = _matched(predictions, labels, predictions_path)
    records = _records(labels, answers)
    problems = {
        "gold_rows": label_problems,
        "prediction_rows": row_problems,
        **match_problems,
    }
    listed = [str(problem) for found in problems.values() for problem in found]
    return summarize(records, draws=draws, seed=seed) | {
        "problems": {kind: len(found) for kind, found in problems.items()},
        "problems_listed": listed[:MAX_SHOWN],
    }


def read_predictions(path: Path) -> tuple[list[Prediction], list[Problem]]:
    """Every row of a prediction file: the valid ones, and a problem for each of the others.

    Raises:
        UserError: no such file, it cannot be read, or it has not one valid row.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise UserError(f"{path}: {what}; expected a file of predictions, one JSON object a line")
    predictions: list[Prediction] = []
    problems: list[Problem] = []
    for line, raw in read_lines(path):
        try:
            predictions.append(_prediction(parse_json_line(raw), line))
        except UserError as error:
            problems.append(Problem(where=f"{path}:{line}", what=str(error)))
    if not predictions:
        many = f"none of its {len(problems)} rows is valid; first: "
        reason = many + str(problems[0]) if problems else "it is empty"
        raise UserError(f"{path}: nothing to score: {reason}")
    return predictions, problems


def _prediction(row: Any, line: int) -> Prediction:
    if not isinstance(row, dict):
        raise UserError(f"{show(row)} is not a prediction; allowed: an object with video and text")
    video, trial = row.get("video"), row.get("trial", 0)
    if not isinstance(video, str) or not video.strip():
        raise UserError(f"video is {show(video)}; allowed: the clip's path or name")
    if not isinstance(trial, int) or isinstance(trial, bool) or trial < 0:
        raise UserError(f"trial is {show(trial)}; allowed: a whole number from 0 up")
    text, events = row.get("text"), row.get("events")
    if (text is None) == (events is None):
        found = "neither" if text is None else "both"
        raise UserError(f"a prediction has either text or events; this one has {found}")
    if text is not None and not isinstance(text, str):
        raise UserError(f"text is {show(text)}; allowed: the raw answer")
    if events is not None and not isinstance(events, list):
        raise UserError(f"events is {show(events)}; allowed: a list of events")
    return Prediction(video=video.strip(), trial=trial, text=text, events=events, line=line)


def _matched(
    predictions: Sequence[Prediction], labels: Sequence[LabelRow], path: Path
) -> tuple[dict[str, dict[int, Prediction]], dict[str, list[Problem]]]:
    """Label video -> trial -> its prediction; and the predictions that have no such place."""
    find = _finder(labels, predictions)
    answers: dict[str, dict[int, Prediction]] = {row.video: {} for row in labels}
    unknown: list[Problem] = []
    repeated: list[Problem] = []
    for prediction in predictions:
        where = f"{path}:{prediction.line}"
        video = find(prediction.video)
        if video is None:
            what = f"video {prediction.video!r} has no labels"
            unknown.append(Problem(where=where, what=what))
        elif first := answers[video].get(prediction.trial):
            what = f"video {video!r}, trial {prediction.trial} is already on line {first.line}"
            repeated.append(Problem(where=where, what=what))
        else:
            answers[video][prediction.trial] = prediction
    if not any(answers.values()):
        raise UserError(
            f"{path}: no prediction is about a labelled clip: it has {predictions[0].video!r}, "
            f"the labels have {labels[0].video!r}"
        )
    return answers, {"unknown_videos": unknown, "repeated_predictions": repeated}


def _finder(
    labels: Sequence[LabelRow], predictions: Sequence[Prediction]
) -> Callable[[str], str | None]:
    """How a prediction's video finds the label row that it means."""
    exact = {_plain(row.video): row.video for row in labels}
    by_name: dict[str, set[str]] = defaultdict(set)
    for row in labels:
        by_name[_name(row.video)].add(row.video)
    written: dict[str, set[str]] = defaultdict(set)
    for prediction in predictions:
        written[_name(prediction.video)].add(_plain(prediction.video))

    def find(video: str) -> str | None:
        if (found := exact.get(_plain(video))) is not None:
            return found
        same_name = by_name.get(_name(video), set())
        unique = len(same_name) == 1 and len(written[_name(video)]) == 1
        return next(iter(same_name)) if unique else None

    return find


def _plain(video: str) -> str:
    return os.path.normpath(video.replace("\\", "/"))


def _name(video: str) -> str:
    return _plain(video).rsplit("/", 1)[-1]


def _records(
    labels: Sequence[LabelRow], answers: Mapping[str, Mapping[int, Prediction]]
) -> Iterator[Record]:
    """One record for every clip in every trial: an answer that is not there is one that failed."""
    trials = sorted({trial for given in answers.values() for trial in given})
    for row in labels:
        for trial in trials:
            yield _record(row, trial, answers[row.video].get(trial))


def _record(row: LabelRow, trial: int, prediction: Prediction | None) -> Record:
    query = tuple(event.name for event in row.events)
    value = _value(prediction, query)
    unparsed = value.reason if isinstance(value, Unparsed) else None
    return Record(
        sample_id=row.video,
        video=row.video,
        group=row.group,
        scenario=row.task,
        trial=trial,
        text=(prediction.text if prediction else None) or "",
        value=None if isinstance(value, Unparsed) else events_to_json(value),
        unparsed=unparsed,
        gold=events_to_json(row.events),
        query=list(query),
        scores=answer_scores(event_errors(value, row.events, query, row.duration_s)),
        duration_s=row.duration_s or 0.0,
    )


def _value(prediction: Prediction | None, query: Query) -> Events | Unparsed:
    if prediction is None:
        return Unparsed("no prediction")
    if prediction.events is not None:
        return parse_event_rows(prediction.events, query)
    return parse_events(prediction.text or "", query)
