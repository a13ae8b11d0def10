"""The clips of evaluations of scores, as a page lists them: the model's words beside the label."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from kairoscope.core import Record
from kairoscope.report.answered_run import Answers, NamedAnswers, by_clip, clip_url
from kairoscope.report.clips import Cell, ClipView, Order, Tag
from kairoscope.report.figures import shown
from kairoscope.runs import Run
from kairoscope.scale import SCORES, SLOT, farthest_score

ORDERS = (
    Order(name="largest error", key="error", descending=True),
    Order(name="smallest error", key="error"),
    Order(name="least sure", key="spread", descending=True),
    Order(name="true score", key="gold"),
    Order(name="answered score", key="given"),
    Order(name="name", key="place"),
)
LONE_ANSWER = 40
"""Characters of an answer that gives no reasons."""
COLUMNS = ("Answer of", "True", "Digit", "Expected", "Error", *(f"P({score})" for score in SCORES))


def given(record: Record) -> float:
    """What an answer is judged by: the expected score, else the digit, else the worst."""
    if record.value is None:
        return float(farthest_score(int(record.gold)))
    return float(record.extra.get("expected", record.value))


def clip_views(runs: Sequence[tuple[str, Run, Answers]], folder: Path) -> list[ClipView]:
    """One entry a clip that all runs have; the last run sorts them and stands in their heads."""
    return [_view(clip, folder) for clip in by_clip(runs)]


def comparison_orders(last: str) -> tuple[Order, ...]:
    """Ways to sort the clips of several runs."""
    steps = (
        Order(name=f"most improved by {last}", key="step"),
        Order(name=f"most worsened by {last}", key="step", descending=True),
    )
    return (*steps, *ORDERS)


def _view(runs: Sequence[NamedAnswers], folder: Path) -> ClipView:
    last = runs[-1][2]
    first = last[0]
    gold = int(first.gold)
    errors = [fmean(abs(given(r) - gold) for r in records) for _, _, records in runs]
    several = len(runs) > 1
    rows: list[tuple[int, *tuple[Cell, ...]]] = []
    names: list[str] = []
    texts: list[tuple[str, str]] = []
    for name, _, records in runs:
        for record in records:
            trial = f"trial {record.trial}" if len(records) > 1 else ""
            called = ", ".join(filter(None, (name if several else "", trial))) or "answer"
            rows.append((len(rows), *_cells(record, gold)))
            names.append(called)
            if record.text:
                texts.append((called if several or trial else "", record.text))
    mean = fmean(given(record) for record in last)
    return ClipView(
        id=first.sample_id,
        scenario=first.scenario,
        where=first.scenario,
        video=clip_url(runs, folder),
        duration_s=first.duration_s,
        events=names,
        columns=COLUMNS,
        rows=rows,
        texts=texts,
        # Where there is reasoning, it stands beside the label; a lone digit is in the table.
        open=any(len(text) > LONE_ANSWER for _, text in texts),
        tags=_tags(last, errors),
        notes=sorted({r.unparsed for _, _, records in runs for r in records if r.unparsed}),
        figure=f"true {gold}, answered {shown(mean)}",
        sort={
            "error": errors[-1],
            "step": errors[-1] - errors[0],
            "spread": _spread(last[0]),
            "gold": float(gold),
            "given": mean,
        },
    )


def _cells(record: Record, gold: int) -> list[Cell]:
    expected = record.extra.get("expected")
    error = given(record) - gold
    class_ = "worse" if abs(error) >= 1.5 else ""
    known = {
        str(choice): share
        for posterior in record.posteriors
        if posterior["slot"] == SLOT
        for choice, share in zip(posterior["choices"], posterior["probabilities"], strict=True)
    }
    return [
        str(gold),
        ("none", None, "worse") if record.value is None else str(record.value),
        "–" if expected is None else shown(expected),
        (f"{error:+.2f}".replace("-", "−"), None, class_),
        *(f"{100 * known[str(s)]:.0f}%" if str(s) in known else "–" for s in SCORES),
    ]


def _tags(records: Sequence[Record], errors: Sequence[float]) -> list[Tag]:
    """How far off the digit is, by which the list is filtered; and against the first run."""
    if any(record.failed for record in records):
        return [Tag(words="unreadable clip", kind="bad")]
    tags: list[Tag] = []
    if any(record.value is None for record in records):
        tags.append(Tag(words="unparsed answer", kind="bad"))
    off = [abs(int(r.value) - int(r.gold)) for r in records if r.value is not None]
    if off:
        worst = max(off)
        words = ("exact", "off by 1", "off by 2", "off by 3", "off by 4")[worst]
        tags.append(Tag(words=words, kind="good" if worst == 0 else "" if worst == 1 else "bad"))
    if len(errors) > 1 and abs(errors[-1] - errors[0]) >= 0.5:
        better = errors[-1] < errors[0]
        tags.append(Tag(words="better" if better else "worse", kind="good" if better else "bad"))
    return tags


def _spread(record: Record) -> float:
    """Standard deviation of the distribution over the scores; 0 where there is none."""
    for posterior in record.posteriors:
        if posterior["slot"] == SLOT:
            pairs = [
                (float(c), p)
                for c, p in zip(posterior["choices"], posterior["probabilities"], strict=True)
            ]
            mean = sum(c * p for c, p in pairs)
            return float(sum(p * (c - mean) ** 2 for c, p in pairs) ** 0.5)
    return 0.0
