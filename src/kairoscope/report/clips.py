"""The list of clips in a page: what `templates/clips.js` draws, as plain JSON values."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kairoscope.report.page import embedded_json
from kairoscope.report.stacking import stacked
from kairoscope.report.svg import printable

Cell = str | tuple[str, float | None] | tuple[str, float | None, str]
"""Text; or text, the moment in s that it speaks of (or None), and a class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One row of a timeline."""

    name: str
    kind: str = ""
    """``, `thin` (one of many trials) or `spread` (probabilities)."""
    spans: Sequence[tuple[int, float, float, bool]] = ()
    """(event's place, start s, end s, doubtful)."""
    peaks: Sequence[tuple[int, float, float]] = ()
    """(event's place, time s, probability)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A mark on a clip by which the list can be filtered."""

    words: str
    kind: str = ""
    """``, `good`, `warn` or `bad`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipView:
    """Everything the page shows about one clip."""

    id: str
    scenario: str
    video: str | None
    """Relative URL."""
    elsewhere: str | None = None
    """Another URL, to be tried where there is nothing at `video`."""
    video_start_s: float | None = None
    """Where in the video the clip begins; None: it is the whole video."""
    duration_s: float
    events: Sequence[str]
    lanes: Sequence[Lane] = ()
    columns: Sequence[str] = ()
    rows: Sequence[tuple[int, *tuple[Cell, ...]]] = ()
    """Event's place, then a cell a column after the first."""
    reasons: Sequence[str] = ()
    """Why each row says what it says; empty, or one a row. Stands below the row."""
    texts: Sequence[tuple[str, str]] = ()
    """(which trial, answer as written)."""
    open: bool = False
    """Show these texts at once."""
    tags: Sequence[Tag] = ()
    notes: Sequence[str] = ()
    figure: str = ""
    """The one number that stands in the clip's head."""
    where: str = ""
    sort: Mapping[str, float | None] = field(default_factory=dict)
    words: Sequence[str] = ()
    """By which the clip is found, besides its name, scenario and events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One way to sort the list: by a key of `ClipView.sort`, or by `place`, as it came."""

    name: str
    key: str
    descending: bool = False


def clip_payload(
    clips: Sequence[ClipView],
    orders: Sequence[Order],
    step_s: float,
    *,
    what: str = "clips",
    words: bool = False,
) -> dict[str, Any]:
    """What the page's script reads.

    Args:
        clips: in the order of their places.
        orders: ways to sort.
        step_s: how far an arrow key goes.
        what: they are called.
        words: cells of their tables are texts, which want room more than columns in line.
    """
    statuses = {tag.words for clip in clips for tag in clip.tags}
    head = _head(orders, step_s, {clip.scenario for clip in clips}, statuses)
    return {
        **head,
        **({} if what == "clips" else {"what": what}),
        **({"words": True} if words else {}),
        "clips": [_clip(clip, place) for place, clip in enumerate(clips)],
    }


def payload_parts(
    clips: Iterable[ClipView],
    orders: Sequence[Order],
    step_s: float,
    *,
    scenarios: Collection[str],
    statuses: Collection[str],
) -> Iterator[str]:
    """`clip_payload` as embedded JSON, a part a clip: what is not known before the last one is given.

    Args:
        clips: one is in memory at a time.
        orders: ways to sort.
        step_s: how far an arrow key goes.
        scenarios: of all clips.
        statuses: words of all tags.
    """
    yield str(embedded_json(_head(orders, step_s, scenarios, statuses)))[:-1] + ',"clips":['
    for place, clip in enumerate(clips):
        yield ("," if place else "") + str(embedded_json(_clip(clip, place)))
    yield "]}"


def _head(
    orders: Sequence[Order], step_s: float, scenarios: Collection[str], statuses: Collection[str]
) -> dict[str, Any]:
    return {
        "orders": [{"name": o.name, "key": o.key, "descending": o.descending} for o in orders],
        "scenarios": sorted(scenarios),
        "statuses": sorted(statuses),
        "step_s": round(step_s, 4),
    }


def _clip(clip: ClipView, place: int) -> dict[str, Any]:
    found = " ".join([clip.id, clip.scenario, *clip.events, *clip.words]).lower()
    return {
        "id": printable(clip.id),
        "place": place,
        "scenario": clip.scenario,
        "where": printable(clip.where),
        "video": clip.video,
        **({"elsewhere": clip.elsewhere} if clip.elsewhere else {}),
        **({} if clip.video_start_s is None else {"video_start_s": clip.video_start_s}),
        "duration_s": max(clip.duration_s, 0.01),
        "events": [printable(name) for name in clip.events],
        "lanes": [_lane(lane) for lane in clip.lanes],
        "columns": list(clip.columns),
        "rows": [list(row) for row in clip.rows],
        **({"reasons": [printable(why) for why in clip.reasons]} if any(clip.reasons) else {}),
        "texts": [list(pair) for pair in clip.texts],
        **({"open": True} if clip.open else {}),
        "tags": [{"words": tag.words, "kind": tag.kind} for tag in clip.tags],
        "notes": list(clip.notes),
        "figure": clip.figure,
        "sort": dict(clip.sort),
        "search": found,
    }


def _lane(lane: Lane) -> dict[str, Any]:
    row: dict[str, Any] = {"name": lane.name, "kind": lane.kind}
    if lane.spans:
        rows = stacked([(a, b) for _, a, b, _ in lane.spans])
        row["rows"] = max(rows) + 1
        row["spans"] = [
            [e, round(a, 3), round(b, 3), doubt, at]
            for (e, a, b, doubt), at in zip(lane.spans, rows, strict=True)
        ]
    if lane.peaks:
        row["peaks"] = [[e, round(t, 3), round(p, 3)] for e, t, p in lane.peaks]
    return row


def relative_url(video: str, run_folder: Path, page_folder: Path) -> str:
    """URL of a clip, named as seen from its run's folder, for a page in another folder.

    Relative, so that it holds when page and clips are moved together.
    """
    absolute = _absolute(video, run_folder)
    return quote(os.fsencode(os.path.relpath(absolute, page_folder.resolve())))


def absolute_url(video: str, run_folder: Path) -> str:
    """URL of the place where a clip, named as seen from its run's folder, is now."""
    return _absolute(video, run_folder).as_uri()


def _absolute(video: str, run_folder: Path) -> Path:
    return Path(os.path.normpath(run_folder.resolve() / video))
