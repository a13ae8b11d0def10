"""Records -> one row of scores for each clip, its trials averaged. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from kairoscope.core import Record, Unparsed
from kairoscope.events import Events, Query, events_from_json
from kairoscope.metrics.degenerate import TimedClip
from kairoscope.metrics.errors import Boundary, EventErrors, event_errors
from kairoscope.prior import Demonstration, leave_one_out

KINDS = ("ends", "starts", "both")
RECALL_AT = ("0.5", "0.7")

Columns = dict[str, float | None]
"""Score name -> its value; None where there is nothing to take it from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRow:
    """One clip: what its answers scored, on average over its trials, and what the prior would."""

    clip: Demonstration
    columns: Columns
    prior: Columns
    """Empty where no other demonstration of the scenario is left to guess from."""
    relative_prior: Columns
    answers: tuple[TimedClip, ...]
    """The answers that could be read."""
    num_records: int
    num_answered: int
    failed: bool
    """The clip itself could not be read, in any trial."""


def clip_rows(records: Iterable[Record]) -> list[ClipRow]:
    """One row a clip that has a gold answer, sorted by id.

    Raises ValueError where two records of one clip and trial are given: a mean over both would
    count one answer twice.
    """
    by_clip: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.gold is not None:
            by_clip[record.sample_id].append(record)
    clips = [_clip(by_clip[name]) for name in sorted(by_clip)]
    absolute, relative = leave_one_out(clips), leave_one_out(clips, "relative")
    return [_row(clip, by_clip[clip.id], absolute[clip.id], relative[clip.id]) for clip in clips]


def _clip(records: Sequence[Record]) -> Demonstration:
    first = records[0]
    if len({record.trial for record in records}) < len(records):
        raise ValueError(f"clip {first.sample_id!r} has two records of one trial")
    return Demonstration(
        id=first.sample_id,
        group=first.group,
        scenario=first.scenario,
        query=tuple(first.query),
        gold=events_from_json(first.gold),
        # A trial whose clip could not be read may not know how long it is.
        duration_s=max(record.duration_s for record in records) or None,
    )


def _row(
    clip: Demonstration,
    records: Sequence[Record],
    absolute: Events | None,
    relative: Events | None,
) -> ClipRow:
    values = [_value(record) for record in records]
    answers = [value for value in values if not isinstance(value, Unparsed)]
    return ClipRow(
        clip=clip,
        columns=mean_columns([answer_columns(_errors(value, clip)) for value in values]),
        prior=answer_columns(_errors(absolute, clip)) if absolute else {},
        relative_prior=answer_columns(_errors(relative, clip)) if relative else {},
        answers=tuple(timed(clip, answer) for answer in answers),
        num_records=len(records),
        num_answered=len(answers),
        failed=all(record.failed for record in records),
    )


def _value(record: Record) -> Events | Unparsed:
    if record.value is None:
        return Unparsed(record.unparsed or "no answer")
    return events_from_json(record.value) or Unparsed("no event")


def _errors(value: Events | Unparsed, clip: Demonstration) -> tuple[EventErrors, ...]:
    return event_errors(value, clip.gold, clip.query, clip.duration_s)


def timed(clip: Demonstration, events: Events) -> TimedClip:
    """An answer to a clip, or its truth, for the search for degenerate answers."""
    last_s = max((event.end_s for event in clip.gold), default=0.0)
    query: Query = clip.query
    return TimedClip(
        group=clip.group, query=query, events=events, duration_s=clip.duration_s or last_s
    )


def answer_columns(errors: Sequence[EventErrors]) -> Columns:
    """Every score of one answer: means over its events.

    `<kind>.<over>.mae_s` and `.mre_percent` for each of `KINDS` over `all` events and the
    `answered_only`; `tiou`, `recall.<threshold>`, `hit`, `found` over all; `named` over answered.
    """
    ends = [e.end for e in errors]
    starts = [e.start for e in errors if e.start is not None]
    columns: Columns = {}
    # Without a single known start, "both" would be the ends again under another name.
    boundaries = {"ends": ends, "starts": starts, "both": [*starts, *ends] if starts else []}
    for kind in KINDS:
        columns |= _boundary_columns(kind, boundaries[kind])
    for threshold in RECALL_AT:
        columns[f"recall.{threshold}"] = mean(float(e.tiou >= float(threshold)) for e in errors)
    columns["tiou"] = mean(e.tiou for e in errors)
    columns["hit"] = mean(float(e.hit) for e in errors)
    columns["found"] = mean(float(e.named) for e in errors)
    columns["named"] = mean(float(e.named) for e in errors if e.answered)
    return columns


def _boundary_columns(kind: str, boundaries: Sequence[Boundary]) -> Columns:
    return {
        f"{kind}.all.mae_s": mean(b.error_s for b in boundaries),
        f"{kind}.all.mre_percent": mean(b.relative_percent for b in boundaries),
        f"{kind}.answered_only.mae_s": mean(b.answered_error_s for b in boundaries),
        f"{kind}.answered_only.mre_percent": mean(b.answered_relative_percent for b in boundaries),
    }


def mean_columns(rows: Sequence[Mapping[str, float | None]]) -> Columns:
    """Column by column, the mean of the values that there are."""
    return {name: mean(row[name] for row in rows) for name in rows[0]} if rows else {}


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are not None, or None."""
    given = [value for value in values if value is not None]
    return fmean(given) if given else None
