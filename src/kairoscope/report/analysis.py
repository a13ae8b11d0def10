"""What a reader should notice in an evaluation: rules over metrics and records. Pure.

Every finding is a statement that a rule computed, with the numbers it rests on; nothing is said
that was not measured. The rules look for what has gone wrong in published work: answers that do
not depend on the video, constants, survivors counted as the whole, errors that hide in a mean.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kairoscope.core import Record, UserError
from kairoscope.report import rules_errors, rules_whole
from kairoscope.report.boundaries import EventView, Likely, event_views, likely_boundaries
from kairoscope.report.captions.figures import is_caption
from kairoscope.report.captions.rules import analyse_captions
from kairoscope.report.findings import RANK, Evidences, Finding, finding_from_json, finding_to_json
from kairoscope.report.questions.figures import is_question
from kairoscope.report.questions.rules import analyse_questions
from kairoscope.report.scores.figures import is_score
from kairoscope.report.scores.rules import analyse_scores
from kairoscope.runs import Run, read_metrics, records_of
from kairoscope.storage import read_json, write_json_atomic

RULES: tuple[Callable[[Evidences], Finding | None], ...] = (
    rules_whole.degenerate,
    rules_whole.target,
    rules_whole.skill,
    rules_whole.thin_prior,
    rules_whole.length_alone,
    rules_whole.looking,
    rules_whole.unanswered,
    rules_whole.events_found,
    rules_whole.calibration,
    rules_errors.bias,
    rules_errors.worst_event,
    rules_errors.worst_scenario,
    rules_errors.starts_behind_ends,
    rules_errors.long_tail,
    rules_errors.few_clips,
)


def analyse(
    metrics: Mapping[str, Any],
    records: Sequence[Record],
    targets: Mapping[str, float] | None = None,
    inside: tuple[int, int] | None = None,
) -> list[Finding]:
    """The findings of one evaluation: gaps first, then warnings, then strengths.

    `metrics` as in `metrics.json`; `targets` as in a recipe; `inside` as `true_ends_inside` counts.
    """
    answers = [(record, event_views(record)) for record in records]
    seen = Evidences(metrics=metrics, answers=answers, targets=targets or {}, inside=inside)
    found = [finding for rule in RULES if (finding := rule(seen)) is not None]
    return sorted(found, key=lambda finding: RANK[finding.severity])


def true_ends_inside(
    answers: Iterable[tuple[Sequence[EventView], Sequence[Likely]]],
) -> tuple[int, int]:
    """(true ends inside the model's 80 % interval of that end, ends that have an interval)."""
    inside = total = 0
    for events, likely in answers:
        gold = {event.place: event.gold for event in events}
        for boundary in likely:
            span = gold.get(boundary.place)
            if boundary.is_end and span is not None:
                total += 1
                inside += boundary.low_s <= span[1] <= boundary.high_s
    return inside, total


def analyse_run(run: Run, targets: Mapping[str, float] | None = None) -> list[Finding]:
    """The findings of a finished evaluation run; one row of it in memory at a time is whole."""
    known = read_metrics(run)
    if known is not None and is_caption(known):
        return analyse_captions(known)
    if known is not None and is_question(known):
        return analyse_questions(known)
    if known is not None and is_score(known):
        return analyse_scores(known, targets or {})
    if known is not None and known.get("kind") is not None:
        return []  # the rules are of times
    records: list[Record] = []
    inside = total = 0
    for record in records_of(run):
        counts = true_ends_inside([(event_views(record), likely_boundaries(record.posteriors))])
        inside, total = inside + counts[0], total + counts[1]
        records.append(replace(record, posteriors=(), frame_times_s=()))
    records.sort(key=lambda record: (record.sample_id, record.trial))
    metrics = read_metrics(run)
    if metrics is None:
        raise UserError(f"{run.path}: holds no finished evaluation")
    return analyse(metrics, records, targets, (inside, total))


def write_analysis(
    run: Run, file: Path, targets: Mapping[str, float] | None = None
) -> list[Finding]:
    """Analyse an evaluation run into `analysis.json`, which `read_analysis` reads."""
    findings = analyse_run(run, targets)
    rows = {"targets": dict(targets or {}), "findings": [finding_to_json(f) for f in findings]}
    write_json_atomic(file, rows)
    return findings


def read_analysis(file: Path) -> list[Finding]:
    """The findings in an `analysis.json`."""
    return [finding_from_json(row) for row in read_json(file)["findings"]]
