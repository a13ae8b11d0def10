"""A finished evaluation with its answers by clip, as pages of answers that are no times need it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.core import Record, UserError
from kairoscope.report.clips import relative_url
from kairoscope.runs import Run, read_metrics, records_of

Answers = Mapping[str, Sequence[Record]]
"""Sample id -> its answers by trial."""
NamedAnswers = tuple[str, Run, Sequence[Record]]
"""What a run is called, the run, and its answers about one clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRun:
    """One evaluation."""

    name: str
    run: Run
    metrics: Mapping[str, Any]
    answers: Answers

    @property
    def records(self) -> list[Record]:
        """All answers, by sample and trial."""
        return [record for records in self.answers.values() for record in records]


def read_answered(folder: Path, name: str, *, kind: str, what: str) -> AnsweredRun:
    """Read a finished evaluation whose metrics are of a kind; `name` is the model's where it is empty.

    Raises UserError, in the words of `what`, where the folder holds none.
    """
    run = Run.read(folder)
    metrics = read_metrics(run)
    if run.kind != "evaluation" or metrics is None or metrics.get("kind") != kind:
        raise UserError(f"{folder}: holds no finished evaluation of {what}")
    called = name or str(run.config["model"])
    return AnsweredRun(name=called, run=run, metrics=metrics, answers=read_answers(run))


def read_answers(run: Run) -> dict[str, list[Record]]:
    """Sample id -> its answers by trial; samples sorted by id."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records_of(run):
        if record.gold is not None:
            found[record.sample_id].append(record)
    for answers in found.values():
        answers.sort(key=lambda record: record.trial)
    return dict(sorted(found.items()))


def by_clip(runs: Sequence[tuple[str, Run, Answers]]) -> list[list[NamedAnswers]]:
    """For each clip that all runs have, sorted by id: every run's answers about it."""
    shared = sorted(set.intersection(*(set(answers) for _, _, answers in runs)))
    return [[(name, run, answers[clip]) for name, run, answers in runs] for clip in shared]


def clip_url(runs: Sequence[NamedAnswers], folder: Path) -> str | None:
    """Where a clip is, as seen from `folder`, by the first run that could read it."""
    for _, run, records in runs:
        if not records[0].failed:
            return relative_url(records[0].video, run.path, folder)
    return None


def problem_rows(run: Run) -> list[dict[str, str]]:
    """Rows of a page's table of problems."""
    found: list[dict[str, Any]] = run.read_json("problems.json") or []
    return [
        {
            "kind": str(row["kind"]),
            "where": str(row.get("sample_id") or row.get("where") or ""),
            "reason": str(row["reason"]),
        }
        for row in found
    ]
