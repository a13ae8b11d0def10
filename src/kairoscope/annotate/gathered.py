"""What is known of every episode of a dataset, one row in memory at a time."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from kairoscope.annotate.evidence import KEY, ROWS
from kairoscope.annotate.examples import Example, examples_in
from kairoscope.core import UserError
from kairoscope.data.corrections import labels_of
from kairoscope.data.labels import LabelRow
from kairoscope.events import Query
from kairoscope.robot.episode import Dataset
from kairoscope.runs import Run

ANSWERS = "answers"
"""The model's answers, one row an episode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The rows of `signals.jsonl`, as they count for this run."""

    dataset: Dataset
    query: Query
    run: Run
    arms: tuple[str, ...] = ()
    """Which arm does each event; empty: one does them all."""
    ignores_labels: bool = False
    """Labels are to be replaced, and so count for nothing. Corrections do count."""
    corrections: Mapping[str, LabelRow] = field(default_factory=dict)
    """By episode: what a person set in this run's folder, which goes before everything else."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Of every episode, in the order in which they were read."""
        for row in self.run.rows(ROWS, KEY):
            if row["problem"] is None:
                self._settle(row)
            yield row

    def _settle(self, row: dict[str, Any]) -> None:
        """Put the labels into a row that count for it."""
        correction = self.corrections.get(row["clip"])
        if correction is not None:
            row["labels"] = labels_of(correction, self.query)
            row["labelled_by"] = "human"
        elif self.ignores_labels:
            row["labels"] = [None] * len(self.query)

    def examples(self) -> tuple[Example, ...]:
        """The episodes whose every event is labelled.

        Raises UserError where not one episode can be read.
        """
        reason, num_readable = "it lists none", 0
        found: list[Example] = []
        for row in self.rows():
            if row["problem"] is not None:
                reason = row["problem"]
                continue
            num_readable += 1
            found += examples_in([row])
        if not num_readable:
            raise UserError(f"{self.dataset.path}: not one episode can be read; {reason}")
        return tuple(found)


def is_open(row: Mapping[str, Any]) -> bool:
    """Whether an event of an episode has neither label nor signal."""
    if row["problem"] is not None:
        return False
    decided = [one["frame"] is not None for one in row["signals"]] or [False] * len(row["labels"])
    return any(
        label is None and not known for label, known in zip(row["labels"], decided, strict=True)
    )


def answered(
    gathered: Gathered, asked: AbstractSet[str] | None
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Every episode's row, and the model's answer about it where one counts.

    Answers about another recording of that name, which the dataset held before, do not count, nor
    do those about episodes that a fresh run would not ask about.

    Args:
        gathered: the rows.
        asked: besides those with an open event; None: no answer counts.
    """
    names = []
    if asked is not None:
        names = [r["clip"] for r in gathered.rows() if is_open(r) or r["clip"] in asked]
    answers = gathered.run.rows_ordered(ANSWERS, "clip", names)
    ahead = next(answers, None)
    for row in gathered.rows():
        answer = None
        if ahead is not None and ahead["clip"] == row["clip"]:
            answer, ahead = ahead, next(answers, None)
        same = answer is not None and answer["digest"] == row["digest"]
        yield row, answer if same else None
