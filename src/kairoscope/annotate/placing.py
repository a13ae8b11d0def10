"""Everything that is known of an episode -> its boundaries, as a row of `clips.jsonl`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kairoscope.annotate.clips import View, view_of
from kairoscope.annotate.combining import Boundary, combine
from kairoscope.annotate.examples import Example, prior_for
from kairoscope.annotate.gathered import Gathered, answered
from kairoscope.annotate.legal import made_legal
from kairoscope.annotate.results import failed_row, found_in, result_row
from kairoscope.annotate.sources import evidence_of
from kairoscope.annotate.trusting import Trusted
from kairoscope.core import UserError
from kairoscope.robot.naming import SignalPlan
from kairoscope.robot.saving import Found


@dataclass(slots=True, kw_only=True)
class Placing:
    """One pass over all episodes, and what came of it."""

    gathered: Gathered
    plan: SignalPlan | None
    trust: Trusted
    examples: tuple[Example, ...]
    asked: AbstractSet[str] | None
    """Labelled episodes about which the model was asked, too; None: no answer counts."""
    camera: str | None
    clips: Mapping[str, Path]
    """Episode -> the video that the model saw."""
    num_damaged: int = 0
    """Answers that had to be asked for again."""
    found: dict[str, Found] = field(default_factory=dict)
    """What is to be written into the dataset."""
    corrected: dict[str, Found] = field(default_factory=dict)
    """The same of what a person set: written as made by hand."""
    num_without: int = 0
    by_source: Counter[str] = field(default_factory=Counter)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The row of every episode, in order; one is in memory at a time."""
        for row, answer in answered(self.gathered, self.asked):
            if row["problem"] is not None:
                self.num_without += 1
                yield failed_row(row)
                continue
            result = self._row(row, answer)
            self.num_without += not result["events"]
            self.by_source.update(event["source"] for event in result["events"])
            is_corrected = row["clip"] in self.gathered.corrections
            one = found_in(result, is_hdf5=self.plan is not None, is_corrected=is_corrected)
            if one is not None:
                (self.corrected if is_corrected else self.found)[row["clip"]] = one
            yield result

    def _row(self, row: Mapping[str, Any], answer: Mapping[str, Any] | None) -> dict[str, Any]:
        query = self.gathered.query
        times_s = np.asarray(row["times_s"], dtype=np.float64)
        group = str(row["source"] or row["clip"])
        prior = prior_for(query, self.examples, row["clip"], group, times_s)
        evidence = evidence_of(query, row, answer, prior, times_s)
        if row["clip"] in self.gathered.corrections:  # what a person left out is not put back
            evidence = [[e for e in own if e.source == "label"] for own in evidence]
        boundaries = combine(query, times_s, evidence, self.trust.pool, self.gathered.arms)
        if answer is not None and answer["problem"]:
            boundaries = _unanswered(boundaries, answer["problem"])
        trouble = None
        if self.plan is not None:
            boundaries, trouble = made_legal(boundaries, self.plan, times_s)
        return result_row(
            row,
            boundaries,
            trouble,
            view=_seen(row, self.camera),
            clip=self.clips.get(row["clip"]),
            run=self.gathered.run,
            posteriors=answer["posteriors"] if answer else (),
            arms=self.gathered.arms,
        )


def _unanswered(boundaries: Sequence[Boundary], problem: str) -> tuple[Boundary, ...]:
    """The same, saying why the model placed none of those that are missing."""
    return tuple(
        replace(b, reasons=(*b.reasons, f"model: {problem}")) if b.frame is None else b
        for b in boundaries
    )


def _seen(row: Mapping[str, Any], camera: str | None) -> View | None:
    """Where an episode can be seen; None also where it alone lacks the camera."""
    try:
        return view_of(row, camera)
    except UserError:
        return None
