"""The page of `kairoscope annotate`: every clip with its events, the doubtful ones first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from kairoscope.report.boundaries import likely_boundaries
from kairoscope.report.clips import (
    Cell,
    ClipView,
    Lane,
    Order,
    Tag,
    absolute_url,
    clip_payload,
    relative_url,
)
from kairoscope.report.page import embedded_json, render_page, svg, value
from kairoscope.report.plots import Bar, bars
from kairoscope.runs import Run
from kairoscope.storage import write_text_atomic

PAGE = "annotations.html"
DOUBTFUL = 0.5
"""An event less sure than this is marked, as one with a flag is."""
DOUBTFUL_TAG = Tag(words="doubtful", kind="warn")
FAILED_TAG = Tag(words="not annotated", kind="bad")
ORDERS = (
    Order(name="doubtful first", key="confidence"),
    Order(name="surest first", key="confidence", descending=True),
    Order(name="as given", key="place"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedEvent:
    """One event that was found in a clip."""

    name: str
    start_s: float
    end_s: float
    start_frame: int | None = None
    end_frame: int | None = None
    confidence: float | None = None
    """0 to 1; None where the model gives no distribution."""
    flags: Sequence[str] = ()
    reasons: Sequence[str] = ()
    """What label, signals, model and other demonstrations said, where there are several sources."""

    @property
    def doubtful(self) -> bool:
        """Whether a person should look at it."""
        return bool(self.flags) or (self.confidence is not None and self.confidence < DOUBTFUL)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedClip:
    """One clip with what was found in it, or why nothing was."""

    id: str
    video: str | None
    """Its path, as seen from the run's folder; None where there is no file to play."""
    duration_s: float
    events: Sequence[AnnotatedEvent] = ()
    posteriors: Sequence[Mapping[str, Any]] = ()
    """As a record holds them; slots `end 1`, `end 2`, ... are drawn."""
    problem: str | None = None
    """Why there are no events."""
    notes: Sequence[str] = ()
    """What else is to be said about it."""
    scenario: str = ""
    text: str = field(default="", repr=False)
    """The answer as written."""

    @property
    def confidence(self) -> float | None:
        """That of its least sure event."""
        known = [e.confidence for e in self.events if e.confidence is not None]
        return min(known, default=None)


def annotated_clips(run: Run) -> Iterator[AnnotatedClip]:
    """The clips of an annotation run, one at a time, from its `clips.jsonl`."""
    for row in run.rows("clips", ("clip",)):
        yield AnnotatedClip(
            id=row["clip"],
            video=row["video"],
            duration_s=row.get("duration_s", 0.0),
            events=[
                AnnotatedEvent(
                    name=event["event"],
                    start_s=event["start_s"],
                    end_s=event["end_s"],
                    start_frame=event["start_frame"],
                    end_frame=event["end_frame"],
                    confidence=event["confidence"],
                    flags=event["flags"],
                    reasons=event.get("reasons", ()),
                )
                for event in row["events"]
            ],
            posteriors=row.get("posteriors", ()),
            problem=row["problem"],
            notes=[*row.get("listed", ()), *row.get("notes", ())],
            scenario=row.get("task", ""),
            text=row.get("text", ""),
        )


def write_annotation_page(
    folder: Path, *, title: str, about: Sequence[tuple[str, str]] = ()
) -> Path:
    """Write `annotations.html` into the folder of an annotation run and return its path.

    `about` holds facts for the page's head, such as ("model", "builtin"). Clips are linked
    relative to the folder, so that the page holds when both are moved together; where it has been
    moved alone, it looks for them at the place that they had when it was written.
    """
    page = folder / PAGE
    clips = annotated_clips(Run.read(folder))
    write_text_atomic(page, annotation_page(clips, folder, title=title, about=about))
    return page


def annotation_page(
    clips: Iterable[AnnotatedClip],
    page_folder: Path,
    *,
    title: str,
    about: Sequence[tuple[str, str]] = (),
) -> str:
    """The HTML of the page."""
    views: list[ClipView] = []
    events: list[AnnotatedEvent] = []
    for clip in clips:  # one at a time: the distributions of many clips are large
        views.append(_view(clip, page_folder))
        events += clip.events
    return render_page(
        "annotation.html.jinja",
        title=title,
        styles=("chart.css", "page.css", "clips.css"),
        scripts=("timeline.js", "clips.js"),
        heading=title,
        facts=about,
        cards=_cards(views, events),
        confidence_plot=svg(_confidence_plot(events)) if _known(events) else None,
        payload=embedded_json(clip_payload(views, ORDERS, step_s=0.1)),
    )


def _view(clip: AnnotatedClip, folder: Path) -> ClipView:
    spans = [(i, e.start_s, e.end_s, e.doubtful) for i, e in enumerate(clip.events)]
    lanes = [Lane(name="events", spans=spans)] if clip.events else []
    peaks = [
        (likely.place, time_s, share)
        for likely in likely_boundaries(clip.posteriors)
        for time_s, share in likely.peaks
        if likely.is_end
    ]
    if peaks:
        lanes.append(Lane(name="likely ends", kind="spread", peaks=peaks))
    video = None if clip.problem else clip.video
    columns = ["Event", "Start", "End", "Frames", "Confidence", "Flags"]
    problem = [clip.problem] if clip.problem and clip.problem not in clip.notes else []
    return ClipView(
        id=clip.id,
        scenario=clip.scenario,
        where=clip.scenario,
        video=None if video is None else relative_url(video, folder, folder),
        elsewhere=None if video is None else absolute_url(video, folder),
        duration_s=max([clip.duration_s, *(e.end_s for e in clip.events)]),
        events=[event.name for event in clip.events],
        lanes=lanes,
        columns=columns,
        rows=[_row(i, event) for i, event in enumerate(clip.events)],
        reasons=["; ".join(event.reasons) for event in clip.events],
        texts=[("", clip.text)] if clip.text else [],
        tags=_tags(clip),
        notes=[*problem, *clip.notes],
        figure="" if clip.confidence is None else f"{clip.confidence:.0%} sure",
        sort={"confidence": -1.0 if clip.problem else _sort_key(clip)},
    )


def _sort_key(clip: AnnotatedClip) -> float | None:
    """Confidence of the least sure event; one with a flag goes before all without."""
    if clip.confidence is None:
        return None
    return clip.confidence - any(event.flags for event in clip.events)


def _row(place: int, event: AnnotatedEvent) -> tuple[int, *tuple[Cell, ...]]:
    class_ = "worse" if event.doubtful else ""
    known = event.start_frame is not None and event.end_frame is not None
    return (
        place,
        (f"{event.start_s:.2f} s", event.start_s),
        (f"{event.end_s:.2f} s", event.end_s),
        f"{event.start_frame} to {event.end_frame}" if known else "–",
        ("–" if event.confidence is None else f"{event.confidence:.0%}", None, class_),
        (", ".join(event.flags) or "–", None, class_ if event.flags else ""),
    )


def _tags(clip: AnnotatedClip) -> list[Tag]:
    if clip.problem:
        return [FAILED_TAG]
    flags = sorted({flag for event in clip.events for flag in event.flags})
    tags = [Tag(words=flag, kind="warn") for flag in flags]
    if any(event.doubtful for event in clip.events):
        return [DOUBTFUL_TAG, *tags]
    return [Tag(words="sure", kind="good")] if clip.confidence is not None else tags


def _known(events: Sequence[AnnotatedEvent]) -> list[float]:
    return [event.confidence for event in events if event.confidence is not None]


def _cards(clips: Sequence[ClipView], events: Sequence[AnnotatedEvent]) -> list[dict[str, Any]]:
    doubtful = [clip for clip in clips if DOUBTFUL_TAG in clip.tags]
    failed = [clip for clip in clips if FAILED_TAG in clip.tags]
    known = _known(events)
    cards = [
        _count("Clips to look at", len(doubtful), f"of {len(clips)}: doubtful or with a flag"),
        _count("Clips annotated", len(clips) - len(failed), f"of {len(clips)} given"),
        _count("Events", len(events), f"{sum(e.doubtful for e in events)} of them doubtful"),
        _count("Not annotated", len(failed), "listed with the reason"),
    ]
    if known:
        words = "as the model sees itself, over all events"
        cards.append(
            {"label": "Mean confidence", "value": value(100 * fmean(known), "%"), "note": words}
        )
    return cards


def _count(label: str, number: int, note: str) -> dict[str, Any]:
    return {"label": label, "value": f"{number:,}", "note": note}


def _confidence_plot(events: Sequence[AnnotatedEvent]) -> str:
    """How many events are how sure, in quarters: the lower two are the doubtful ones."""
    counts = [0] * 4
    for confidence in _known(events):
        counts[min(3, int(confidence * 4))] += 1
    rows = [
        Bar(
            label=f"{25 * i} to {25 * i + 25} %", value=count, colour="model" if i >= 2 else "other"
        )
        for i, count in reversed(list(enumerate(counts)))
    ]
    return bars(rows, title="Confidence of the events", unit="events")
