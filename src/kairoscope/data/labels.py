"""Label files: `labels.jsonl` beside the clips, one JSON object a clip. Pure: no video, no torch.

    {"video": "a.mp4", "events": [{"name": "grasping the pod", "start_s": 0.0, "end_s": 2.1}],
     "group": "demo_7", "duration_s": 7.9, "task": "coffee"}

`video` (relative to the file's folder, or absolute) and `events` are required; an event needs
`name` and `end_s`; `clip` names the episode of a dataset that the row is about. A row that breaks a
rule is a `Problem` with its file and line, never a sample.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from kairoscope.core import Sample, UserError
from kairoscope.data.clips import check_clips, list_videos
from kairoscope.data.label_files import (
    check_usable,
    duration_of,
    label_file,
    read_label_rows,
    video_as_written,
    write_rows,
)
from kairoscope.data.rows import Problem, check_keys, optional, seconds, show, text
from kairoscope.events import Event, Events, Query, normalised, one_line

__all__ = [
    "EventSample",
    "LabelRow",
    "Problem",
    "check_clips",
    "check_event_names",
    "label_file",
    "label_row",
    "list_videos",
    "load_folder",
    "parse_row",
    "read_labels",
    "scenario_of",
    "write_labels",
]

EventSample = Sample[Query, Events]
"""A clip whose query is the names of its events and whose gold answer is the events."""

ROW_KEYS = ("video", "events", "group", "duration_s", "task", "instruction", "seed", "clip")
EVENT_KEYS = ("name", "start_s", "end_s")
ROUNDING_S = 0.05
"""Labels are often written to 0.1 s: half a step past the stated end is not past the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """One valid row of a label file."""

    video: str
    """As written in the file; unique, and the id of the sample."""
    events: Events
    """In the order of their ends, which increase strictly."""
    group: str
    task: str
    duration_s: float | None
    line: int
    """1-based."""
    clip: str | None = None
    """The episode of a dataset that it is about, where the row says so."""

    def sample(self, folder: Path) -> EventSample:
        """The row as a sample; a relative `video` is looked up in `folder`."""
        return Sample(
            id=self.video,
            video=folder / self.video,
            query=tuple(event.name for event in self.events),
            gold=self.events,
            group=self.group,
            scenario=self.task,
            duration_s=self.duration_s,
        )


def load_folder(path: Path, problems: list[Problem] | None = None) -> list[EventSample]:
    """The samples of a folder with `labels.jsonl`, or of a label file itself, in file order.

    With a list of `problems`, bad rows are appended to it and left out; without, the first bad
    row raises. Clips are not opened: see `check_clips`.

    Raises:
        UserError: no label file, a bad row and no list to put it in, or not one usable row.
    """
    file = label_file(path)
    rows, bad = read_labels(file)
    check_usable(file, rows, bad, problems)
    return [row.sample(file.parent) for row in rows]


def read_labels(path: Path) -> tuple[list[LabelRow], list[Problem]]:
    """Every row of a label file: the valid ones, and one problem for each of the others.

    Blank lines do not count. Of two rows about the same clip the later one is the problem.

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    return read_label_rows(label_file(path), parse_row, lambda row: row.video)


def write_labels(samples: Iterable[EventSample], path: Path) -> None:
    """Write samples as a label file that `load_folder` reads back; needs their gold answers.

    `video` is written relative to the file's folder where the clip lies inside it.
    """
    write_rows([label_row(sample, path.parent) for sample in samples], path)


def label_row(sample: EventSample, folder: Path) -> dict[str, Any]:
    """One sample as the JSON object of its row in a label file that lies in `folder`."""
    if sample.gold is None:
        raise UserError(f"sample {sample.id!r} has no events to write as labels")
    row: dict[str, Any] = {
        "video": video_as_written(sample.video, folder),
        "task": sample.scenario,
        "group": sample.group,
        "events": [
            {"name": event.name}
            | ({} if event.start_s is None else {"start_s": event.start_s})
            | {"end_s": event.end_s}
            for event in sample.gold
        ],
    }
    return row if sample.duration_s is None else row | {"duration_s": sample.duration_s}


def scenario_of(names: Sequence[str]) -> str:
    """A short text for a list of event names: equal lists give equal texts, others do not."""
    joined = ", ".join(names)
    if len(joined) <= 64 and not any("," in name for name in names):
        return joined
    digest = sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{joined[:52].rstrip(' ,')}… {digest}"


def check_event_names(names: Sequence[str]) -> Query:
    """The names with their white space folded.

    Raises:
        UserError: there is none, or one is empty, of several lines, or the same as another once
            case, punctuation and articles are left aside, as answers are read.
    """
    if not names:
        raise UserError("events is empty; allowed: one event or more")
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name.strip() or len(name.strip().splitlines()) != 1:
            raise UserError(f"event {number}: name is {name!r}; allowed: one line of text")
        first = seen.setdefault(normalised(name) or name.strip(), number)
        if first != number:
            raise UserError(
                f"event {number}: name {name!r} is also event {first}; allowed: every name once"
            )
    return tuple(one_line(name) for name in names)


def parse_row(row: Any, line: int) -> LabelRow:
    """One row of a label file as JSON -> its labels.

    Raises:
        UserError: what is wrong and what is allowed, without file and line.
    """
    check_keys(row, ROW_KEYS, ("video", "events"), "a row")
    duration_s = duration_of(row)
    events = _events(row["events"], duration_s)
    video = text(row, "video")
    return LabelRow(
        video=video,
        events=events,
        group=optional(row, "group", text) or video,
        task=optional(row, "task", text) or scenario_of([event.name for event in events]),
        duration_s=duration_s,
        line=line,
        clip=optional(row, "clip", text),
    )


def _events(items: Any, duration_s: float | None) -> Events:
    if not isinstance(items, list):
        raise UserError(f"events is {show(items)}; allowed: a list of events")
    events: list[Event] = []
    for number, item in enumerate(items, 1):
        end_before_s = events[-1].end_s if events else 0.0
        try:
            check_keys(item, EVENT_KEYS, ("name", "end_s"), "an event")
            event = Event(
                name=text(item, "name"),
                start_s=optional(item, "start_s", seconds),
                end_s=seconds(item, "end_s"),
            )
            _check_times(event, end_before_s, duration_s)
        except UserError as error:
            raise UserError(f"event {number}: {error}") from error
        events.append(event)
    names = check_event_names([event.name for event in events])
    return tuple(replace(event, name=name) for event, name in zip(events, names, strict=True))


def _check_times(event: Event, previous_end_s: float, duration_s: float | None) -> None:
    """Refuse what no scorer can use: a relative error needs time since the boundary before."""
    if event.start_s is not None and event.start_s > event.end_s:
        raise UserError(f"start_s {event.start_s:g} is after its end_s {event.end_s:g}")
    if event.end_s <= previous_end_s:
        raise UserError(
            f"end_s is {event.end_s:g}; allowed: after {previous_end_s:g}, the boundary before it"
        )
    if duration_s is not None and event.end_s > duration_s + ROUNDING_S:
        raise UserError(
            f"end_s {event.end_s:g} is past the end of the clip (duration_s {duration_s:g})"
        )
