"""The clips of an evaluation run, as the page lists them: truth above answer, worst first."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

from kairoscope.core import Record
from kairoscope.report.boundaries import (
    EventView,
    Likely,
    event_views,
    likely_boundaries,
)
from kairoscope.report.clips import Cell, ClipView, Lane, Order, Tag, relative_url
from kairoscope.report.figures import shown
from kairoscope.runs import Run, records_of

MISS_PERCENT = 30.0
"""An end farther off than this share of its event is marked, as the recipe's goal has it."""
ORDERS = (
    Order(name="largest error", key="error", descending=True),
    Order(name="smallest error", key="error"),
    Order(name="least sure", key="spread", descending=True),
    Order(name="name", key="place"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One record with what the page needs of it; posteriors are read and let go."""

    record: Record
    events: Sequence[EventView]
    likely: Sequence[Likely]


def read_answers(run: Run) -> dict[str, list[Answer]]:
    """Sample id -> its answers by trial; samples sorted by id. One row in memory at a time."""
    found: dict[str, list[Answer]] = defaultdict(list)
    for record in records_of(run):
        likely = likely_boundaries(record.posteriors)
        slim = replace(record, posteriors=(), frame_times_s=record.frame_times_s[:2])
        found[record.sample_id].append(
            Answer(record=slim, events=event_views(record), likely=likely)
        )
    for answers in found.values():
        answers.sort(key=lambda answer: answer.record.trial)
    return dict(sorted(found.items()))


def clip_views(
    answers: dict[str, list[Answer]], run: Run, headline: str, page_folder: Path
) -> list[ClipView]:
    """One entry a sample. `headline` is the score that sorts them and stands in their heads."""
    return [_clip_view(group, run, headline, page_folder) for group in answers.values()]


def _clip_view(answers: Sequence[Answer], run: Run, headline: str, folder: Path) -> ClipView:
    first = answers[0].record
    events = answers[0].events
    error = fmean(answer.record.scores[headline] for answer in answers)
    unit = {"mre_percent": "%", "mae_s": " s"}.get(headline, "")
    texts = [
        (f"trial {a.record.trial}" if len(answers) > 1 else "", a.record.text) for a in answers
    ]
    return ClipView(
        id=first.sample_id,
        scenario=first.scenario,
        where=first.scenario,
        video=None if first.failed else relative_url(first.video, run.path, folder),
        duration_s=_duration_s(answers),
        events=[event.name for event in events],
        lanes=_lanes(answers),
        columns=("Event", "True end", "Answered end", "Error", "Of its length", "Likely (80 %)"),
        rows=[_row(answers, event) for event in events],
        texts=[pair for pair in texts if pair[1]],
        tags=_tags(answers),
        notes=sorted({a.record.unparsed for a in answers if a.record.unparsed}),
        figure=f"error {shown(error, unit)}",
        sort={"error": error, "spread": _spread_s(answers[0])},
    )


def _duration_s(answers: Sequence[Answer]) -> float:
    """Long enough for everything drawn, also where an answer lies past the clip's end."""
    ends = [
        span[1]
        for answer in answers
        for event in answer.events
        for span in (event.gold, event.answer)
        if span is not None
    ]
    known = answers[0].record.duration_s
    last = max(ends, default=0.0)
    return known if known >= last else min(last, 2 * known) if known > 0 else last


def _lanes(answers: Sequence[Answer]) -> list[Lane]:
    many = len(answers) > 1
    truth = [(e.place, *e.gold, False) for e in answers[0].events if e.gold is not None]
    lanes = [Lane(name="truth", spans=truth)]
    for answer in answers:
        name = f"trial {answer.record.trial}" if many else "answer"
        lanes.append(Lane(name=name, kind="thin" if many else "", spans=spans_of(answer)))
    peaks = [
        (likely.place, time_s, share)
        for likely in answers[0].likely
        for time_s, share in likely.peaks
        if likely.is_end
    ]
    return [*lanes, Lane(name="likely ends", kind="spread", peaks=peaks)] if peaks else lanes


def spans_of(answer: Answer) -> list[tuple[int, float, float, bool]]:
    """What an answer draws on a lane; an event of another name is marked as doubtful."""
    return [(e.place, *e.answer, not e.named) for e in answer.events if e.answer is not None]


def _row(answers: Sequence[Answer], event: EventView) -> tuple[int, *tuple[Cell, ...]]:
    """True end, answered end (the median of the trials), error, its share, interval."""
    ends = [a.events[event.place].answer for a in answers]
    given = [span[1] for span in ends if span is not None]
    gold = event.gold
    end_s = median(given) if given else None
    error_s = None if end_s is None or gold is None else end_s - gold[1]
    share = None
    if error_s is not None and gold is not None and gold[1] > gold[0]:
        share = 100 * abs(error_s) / (gold[1] - gold[0])
    missed = end_s is None or (share is not None and share >= MISS_PERCENT)
    class_ = "worse" if missed else ""
    known = [p for p in answers[0].likely if p.place == event.place and p.is_end]
    return (
        event.place,
        ("–", None) if gold is None else (f"{gold[1]:.2f} s", gold[1]),
        ("no answer", None, "worse") if end_s is None else (f"{end_s:.2f} s", end_s),
        ("–", None) if error_s is None else (f"{error_s:+.2f} s".replace("-", "−"), None, class_),
        ("–", None) if share is None else (f"{share:.0f}%", None, class_),
        f"{known[0].low_s:.2f} to {known[0].high_s:.2f}" if known else "–",
    )


def _tags(answers: Sequence[Answer]) -> list[Tag]:
    tags = []
    if any(answer.record.failed for answer in answers):
        return [Tag(words="unreadable clip", kind="bad")]
    if any(answer.record.unparsed for answer in answers):
        tags.append(Tag(words="unparsed answer", kind="bad"))
    parsed = [a for a in answers if a.record.unparsed is None]
    events = [event for answer in parsed for event in answer.events if event.gold is not None]
    if any(event.answer is None for event in events):
        tags.append(Tag(words="event missing", kind="bad"))
    if any(event.answer is not None and not event.named for event in events):
        tags.append(Tag(words="other name", kind="warn"))
    if any((event.relative_percent or 0.0) >= MISS_PERCENT for event in events):
        tags.append(Tag(words=f"end off by {MISS_PERCENT:.0f} % or more", kind="warn"))
    return tags or [Tag(words="all ends close", kind="good")]


def _spread_s(answer: Answer) -> float | None:
    """Width in s of the widest 80 % interval of an end; None without posteriors."""
    return max((p.high_s - p.low_s for p in answer.likely if p.is_end), default=None)
