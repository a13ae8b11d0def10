"""The page of `kairoscope annotate`: every clip with its events, the doubtful ones first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from statistics import fmean
from typing import Any

from kairoscope.data.corrections import corrected_events, read_corrections
from kairoscope.report.boundaries import likely_boundaries
from kairoscope.report.clips import (
    Cell,
    ClipView,
    Lane,
    Order,
    Tag,
    absolute_url,
    payload_parts,
    relative_url,
)
from kairoscope.report.page import page_parts, svg, value
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
    doubt_s: float | None = None
    """How far off it may be, in s, where the run says so."""
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
    video_start_s: float | None = None
    """Where in the video the clip begins; None: it is the whole video."""
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
    corrections = read_corrections(run.path)
    for row in run.rows("clips", ("clip",)):
        correction = corrections.get(row["clip"])
        if correction is not None and "file" in row:  # of a dataset's it has been used already
            names = tuple(event.name for event in correction.events)
            row |= {"problem": None, "events": corrected_events(correction, names)}
        yield AnnotatedClip(
            id=row["clip"],
            video=row["video"] or _made_clip(run.path, row["clip"]),
            duration_s=row.get("duration_s", 0.0),
            video_start_s=row.get("video_start_s"),
            events=[
                AnnotatedEvent(
                    name=event["event"],
                    start_s=event["start_s"],
                    end_s=event["end_s"],
                    start_frame=event["start_frame"],
                    end_frame=event["end_frame"],
                    confidence=event["confidence"],
                    doubt_s=event.get("doubt_s"),
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


def _made_clip(folder: Path, clip: str) -> str | None:
    """The clip that was made of an episode's pictures, as seen from the folder."""
    name = clip.replace("/", "_")
    made = sorted((folder / "clips").glob(f"{escape(name)}-??????????.mp4"))
    return made[0].relative_to(folder).as_posix() if made else None


def write_annotation_page(
    folder: Path, *, title: str, about: Sequence[tuple[str, str]] = ()
) -> Path:
    """Write `annotations.html` into the folder of an annotation run and return its path.

    `about` holds facts for the page's head, such as ("model", "builtin"). Clips are linked
    relative to the folder, so that the page holds when both are moved together; where it has been
    moved alone, it looks for them at the place that they had when it was written.
    """
    page = folder / PAGE
    run = Run.read(folder)
    write_text_atomic(page, annotation_page(run, folder, title=title, about=about))
    return page


def annotation_page(
    run: Run,
    page_folder: Path,
    *,
    title: str,
    about: Sequence[tuple[str, str]] = (),
) -> Iterator[str]:
    """The HTML of the page, in parts: the distributions of many clips are large."""
    counts = _Counts()
    for clip in annotated_clips(run):
        counts.add(clip)
    known = counts.confidences
    views = (_view(clip, page_folder) for clip in annotated_clips(run))
    return page_parts(
        "annotation.html.jinja",
        title=title,
        styles=("chart.css", "page.css", "clips.css"),
        scripts=("timeline.js", "clips.js"),
        heading=title,
        facts=about,
        cards=_cards(counts),
        confidence_plot=svg(_confidence_plot(known)) if known else None,
        payload=payload_parts(
            views, ORDERS, 0.1, scenarios=counts.scenarios, statuses=counts.statuses
        ),
    )


@dataclass(slots=True)
class _Counts:
    """What the head of the page says of all clips."""

    clips: int = 0
    doubtful_clips: int = 0
    failed_clips: int = 0
    events: int = 0
    doubtful_events: int = 0
    confidences: list[float] = field(default_factory=list)
    scenarios: set[str] = field(default_factory=set)
    statuses: set[str] = field(default_factory=set)

    def add(self, clip: AnnotatedClip) -> None:
        tags = _tags(clip)
        self.clips += 1
        self.doubtful_clips += DOUBTFUL_TAG in tags
        self.failed_clips += FAILED_TAG in tags
        self.events += len(clip.events)
        self.doubtful_events += sum(event.doubtful for event in clip.events)
        self.confidences += [e.confidence for e in clip.events if e.confidence is not None]
        self.scenarios.add(clip.scenario)
        self.statuses |= {tag.words for tag in tags}


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
        video_start_s=clip.video_start_s,
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
    """The smaller, the more doubtful: by how far off its events are expected to be in all, if known.

    Else by the confidence of the least sure one; one with a flag goes before all without.
    """
    doubts = [event.doubt_s for event in clip.events if event.doubt_s is not None]
    if doubts:
        return 1 / (1 + sum(doubts))
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


def _cards(counts: _Counts) -> list[dict[str, Any]]:
    of_all = f"of {counts.clips}"
    annotated = counts.clips - counts.failed_clips
    cards = [
        _count("Clips to look at", counts.doubtful_clips, f"{of_all}: doubtful or with a flag"),
        _count("Clips annotated", annotated, f"{of_all} given"),
        _count("Events", counts.events, f"{counts.doubtful_events} of them doubtful"),
        _count("Not annotated", counts.failed_clips, "listed with the reason"),
    ]
    if counts.confidences:
        words = "probability to be within 0.25 s, over all events"
        mean = value(100 * fmean(counts.confidences), "%")
        cards.append({"label": "Mean confidence", "value": mean, "note": words})
    return cards


def _count(label: str, number: int, note: str) -> dict[str, Any]:
    return {"label": label, "value": f"{number:,}", "note": note}


def _confidence_plot(confidences: Sequence[float]) -> str:
    """How many events are how sure, in quarters: the lower two are the doubtful ones."""
    counts = [0] * 4
    for confidence in confidences:
        counts[min(3, int(confidence * 4))] += 1
    rows = [
        Bar(
            label=f"{25 * i} to {25 * i + 25} %", value=count, colour="model" if i >= 2 else "other"
        )
        for i, count in reversed(list(enumerate(counts)))
    ]
    return bars(rows, title="Confidence of the events", unit="events")
