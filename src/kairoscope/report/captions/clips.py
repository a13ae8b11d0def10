"""The clips of evaluations of captions, as a page lists them: each field's answer beside its label."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from kairoscope.core import Record
from kairoscope.report.answered_run import Answers, NamedAnswers, by_clip, clip_url
from kairoscope.report.clips import Cell, ClipView, Order, Tag
from kairoscope.report.figures import shown
from kairoscope.report.shares import share_tags
from kairoscope.runs import Run

ORDERS = (
    Order(name="fewest fields right", key="right"),
    Order(name="most fields right", key="right", descending=True),
    Order(name="name", key="place"),
)
COLUMNS = ("Field", "Label")


JudgeScores = Mapping[str, Sequence[Mapping[str, float]]]
"""Field -> each run's scores by clip, of one judge."""


def clip_views(
    runs: Sequence[tuple[str, Run, Answers]], folder: Path, judged: JudgeScores | None = None
) -> list[ClipView]:
    """One entry a clip that all runs have, with a column a run; the last run sorts them.

    `judged`: scores that stand behind the answers of runs that one judge has judged.
    """
    return [_view(clip, folder, judged or {}) for clip in by_clip(runs)]


def comparison_orders(last: str, *, judged: bool = False) -> tuple[Order, ...]:
    """Ways to sort the clips of several runs."""
    by_judge = (
        Order(name=f"most worsened by {last}, says the judge", key="judge_step"),
        Order(name=f"most improved by {last}, says the judge", key="judge_step", descending=True),
    )
    return (
        Order(name=f"most worsened by {last}", key="step"),
        Order(name=f"most improved by {last}", key="step", descending=True),
        *(by_judge if judged else ()),
        *ORDERS,
    )


def _view(runs: Sequence[NamedAnswers], folder: Path, judged: JudgeScores) -> ClipView:
    first = runs[-1][2][0]
    right = [fmean(r.scores["fields_right"] for r in records) for _, _, records in runs]
    columns = [
        (name if len(runs) > 1 else "Answer") + (f", trial {r.trial}" if len(records) > 1 else "")
        for name, _, records in runs
        for r in records
    ]
    answers = [record for _, _, records in runs for record in records]
    names = [str(name) for name in first.query]
    rows: list[tuple[int, *tuple[Cell, ...]]] = []
    for place, name in enumerate(names):
        cells: list[Cell] = [written(first.gold[name])]
        cells += [
            _with_score(_cell(first.gold, record, name), judged, name, run, first.sample_id)
            for run, (_, _, records) in enumerate(runs)
            for record in records
        ]
        rows.append((place, *cells))
    return ClipView(
        id=first.sample_id,
        scenario=first.scenario,
        where=first.scenario,
        video=clip_url(runs, folder),
        duration_s=first.duration_s,
        events=[name.replace("_", " ") for name in names],
        columns=(*COLUMNS, *columns),
        rows=rows,
        texts=[(c, r.text) for c, r in zip(columns, answers, strict=True) if r.text],
        tags=_tags(runs[-1][2], right),
        notes=sorted({r.unparsed for r in answers if r.unparsed}),
        figure=f"{shown(100 * right[-1], '%')} right",
        sort={
            "right": right[-1],
            "step": right[-1] - right[0],
            "judge_step": _judge_step(judged, first.sample_id),
        },
    )


def _with_score(cell: Cell, judged: JudgeScores, name: str, run: int, clip: str) -> Cell:
    """A cell with the judge's mean for the clip behind it."""
    score = judged[name][run].get(clip) if name in judged else None
    if score is None:
        return cell
    if isinstance(cell, str):
        return f"{cell} (judge: {score:.1f})"
    return (f"{cell[0]} (judge: {score:.1f})", *cell[1:])


def _judge_step(judged: JudgeScores, clip: str) -> float | None:
    """Mean change over the judged fields from the first run to the last."""
    steps = [
        scores[-1][clip] - scores[0][clip]
        for scores in judged.values()
        if clip in scores[0] and clip in scores[-1]
    ]
    return fmean(steps) if steps else None


def _cell(gold: Mapping[str, Any], record: Record, name: str) -> Cell:
    """An answer, marked where it is not the label's; texts are not marked: words may differ."""
    given = record.value or {}
    if name not in given:
        return ("no answer", None, "worse")
    words = written(given[name])
    is_long = isinstance(gold[name], str) and len(str(gold[name])) > 40
    return words if is_long or given[name] == gold[name] else (words, None, "worse")


def written(value: Any) -> str:
    """A value as a page shows it."""
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


def _tags(records: Sequence[Record], right: Sequence[float]) -> list[Tag]:
    if any(record.failed for record in records):
        return [Tag(words="unreadable clip", kind="bad")]
    tags = []
    if any(record.value is None for record in records):
        tags.append(Tag(words="unparsed answer", kind="bad"))
    return [*tags, *share_tags(right)]
