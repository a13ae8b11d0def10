"""The plots of an evaluation's page: where the error stands, to which side, in which event."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from kairoscope.core import Unparsed
from kairoscope.events import events_from_json
from kairoscope.metrics.bootstrap import Resamples
from kairoscope.metrics.errors import event_errors
from kairoscope.report.evaluation.clips import Answer
from kairoscope.report.figures import Figure
from kairoscope.report.page import svg
from kairoscope.report.plots import Bar, Dot, Point, bars, dots, histogram, scatter


def comparison_plot(figure: Figure, targets: Mapping[str, float]) -> str:
    """The headline beside the no-video prior and the wrong video."""
    rows = [
        Bar(label="This model", value=figure.value, interval=figure.interval, note=figure.suffix)
    ]
    if figure.prior is not None:
        rows.append(
            Bar(label="No-video prior", value=figure.prior, colour="prior", note=figure.suffix)
        )
    if figure.control is not None:
        rows.append(
            Bar(label="Wrong video", value=figure.control, colour="control", note=figure.suffix)
        )
    goal = targets.get("mre_percent")
    return bars(rows, title=figure.label, unit=f"% {figure.label.lower()}", aim=goal)


def error_plots(answers: Mapping[str, Sequence[Answer]]) -> list[dict[str, Any]]:
    """Signed errors, answers against truth, and the error of each event."""
    flat = [answer for group in answers.values() for answer in group]
    events = [event for answer in flat for event in answer.events]
    errors = [event.end_error_s for event in events if event.end_error_s is not None]
    points = [
        Point(event.gold[1], event.answer[1], event.place)
        for event in events
        if event.gold is not None and event.answer is not None
    ]
    missing = sum(event.gold is not None and event.answer is None for event in events)
    note = f"{len(errors)} answered ends" + (f"; {missing} have no answer" if missing else "")
    return [
        _plot("Too early or too late", note, histogram(errors, title="Signed error of ends")),
        _plot(
            "Answer against truth",
            "a perfect answer lies on the diagonal; colours are first, second, … event",
            scatter(points, title="Answered against true ends"),
        ),
        _plot(
            "Error of each event",
            "mean absolute error of its end over all answers, failures at their worst",
            dots(
                _event_dots(flat), title="Error of each event", unit="mean absolute error of end, s"
            ),
            wide=True,
        ),
    ]


def _plot(title: str, note: str, markup: str, *, wide: bool = False) -> dict[str, Any]:
    return {"title": title, "note": note, "svg": svg(markup), "wide": wide}


def _event_dots(answers: Sequence[Answer]) -> list[Dot]:
    """The mean error of every event of every scenario, in the order of queries."""
    errors: dict[tuple[str, int, str], list[tuple[str, str, float]]] = defaultdict(list)
    for answer in answers:
        record = answer.record
        value = Unparsed("") if record.value is None else events_from_json(record.value)
        gold = events_from_json(record.gold)
        found = event_errors(value, gold, tuple(record.query), record.duration_s)
        known = [event for event in answer.events if event.gold is not None]
        for event, error in zip(known, found, strict=True):
            key = (record.scenario, event.place, event.name)
            errors[key].append((record.group, record.sample_id, error.end.error_s))
    several = len({scenario for scenario, _, _ in errors}) > 1
    return [
        Dot(
            label=f"{name} ({scenario})" if several else name,
            colour=place,
            note=" s",
            **_mean_by_clip(rows),
        )
        for (scenario, place, name), rows in sorted(errors.items())
    ]


def _mean_by_clip(rows: Sequence[tuple[str, str, float]]) -> dict[str, Any]:
    """Mean over clips of the mean over trials, with its interval over groups."""
    by_clip: dict[tuple[str, str], list[float]] = defaultdict(list)
    for group, sample_id, error in rows:
        by_clip[group, sample_id].append(error)
    clips = {key: fmean(values) for key, values in sorted(by_clip.items())}
    resamples = Resamples([group for group, _ in clips], draws=1000, seed=0)
    ends = resamples.mean_interval(list(clips.values()))
    return {
        "value": fmean(clips.values()),
        "interval": None if ends is None else (ends[0], ends[1]),
    }
