"""The clips of evaluations of questions, as a page lists them: every question about one below each other."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from kairoscope.core import Record
from kairoscope.fields.choices import LETTERS
from kairoscope.report.answered_run import Answers, NamedAnswers, by_clip, clip_url
from kairoscope.report.clips import Cell, ClipView, Order, Tag
from kairoscope.report.figures import counted, shown
from kairoscope.report.shares import share_tags
from kairoscope.runs import Run

ORDERS = (
    Order(name="fewest questions right", key="right"),
    Order(name="most questions right", key="right", descending=True),
    Order(name="name", key="place"),
)
COLUMNS = ("Question", "Choices", "Right")


def question_views(runs: Sequence[tuple[str, Run, Answers]], folder: Path) -> list[ClipView]:
    """One entry a clip that all runs were asked about, with a column a run; the last run sorts them."""
    clips: dict[str, list[list[NamedAnswers]]] = defaultdict(list)
    for question in by_clip(runs):
        clips[question[-1][2][0].video].append(question)
    return [_view(questions, folder) for questions in clips.values()]


def comparison_orders(last: str) -> tuple[Order, ...]:
    """Ways to sort the clips of several runs."""
    return (
        Order(name=f"most worsened by {last}", key="step"),
        Order(name=f"most improved by {last}", key="step", descending=True),
        *ORDERS,
    )


def _view(questions: Sequence[Sequence[NamedAnswers]], folder: Path) -> ClipView:
    first = questions[0]
    record = first[-1][2][0]
    right = [
        fmean(r.scores["right"] for question in questions for r in question[place][2])
        for place in range(len(first))
    ]
    rows: list[tuple[int, *tuple[Cell, ...]]] = []
    for place, question in enumerate(questions):
        asked = question[-1][2][0]
        cells: list[Cell] = [_choices(asked), _lettered(asked, asked.gold)]
        cells += [_cell(records) for _, _, records in question]
        rows.append((place, *cells))
    failed = any(r.failed for question in questions for _, _, records in question for r in records)
    return ClipView(
        id=record.group if len({q[-1][2][0].group for q in questions}) == 1 else record.sample_id,
        scenario="questions",
        where=counted(len(questions), "question"),
        video=clip_url(first, folder),
        duration_s=max(q[-1][2][0].duration_s for q in questions),
        events=[_asked(question[-1][2][0]) for question in questions],
        columns=(*COLUMNS, *(name if len(first) > 1 else "Answer" for name, _, _ in first)),
        rows=rows,
        tags=_tags(right, failed=failed),
        notes=sorted({r.unparsed for q in questions for r in q[-1][2] if r.unparsed}),
        figure=f"{shown(100 * right[-1], '%')} right",
        sort={"right": right[-1], "step": right[-1] - right[0]},
        words=sorted({question[-1][2][0].scenario for question in questions}),
    )


def _asked(record: Record) -> str:
    turn = record.query["turn"]
    return str(record.query["question"]) + (f" (turn {turn})" if turn else "")


def _choices(record: Record) -> str:
    shown_ones = zip(LETTERS, record.query["choices"], strict=False)
    return " · ".join(f"{letter} {choice}" for letter, choice in shown_ones) or "–"


def _lettered(record: Record, choice: str) -> str:
    choices = record.query["choices"]
    return f"{LETTERS[choices.index(choice)]} {choice}" if choice in choices else choice


def _cell(records: Sequence[Record]) -> Cell:
    """The answers of one run, marked where a choice is wrong; words may differ and still be right."""
    said = [
        "no answer" if record.value is None else _lettered(record, record.value)
        for record in records
    ]
    words = " / ".join(dict.fromkeys(said))
    wrong = [record for record in records if record.scores["right"] < 1]
    is_bad = any(record.query["choices"] or record.value is None for record in wrong)
    return (words, None, "worse") if is_bad else words


def _tags(right: Sequence[float], *, failed: bool) -> list[Tag]:
    if failed:
        return [Tag(words="unreadable clip", kind="bad")]
    return share_tags(right)
