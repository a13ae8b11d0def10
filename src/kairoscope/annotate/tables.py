"""`boundaries.jsonl` and `.csv`, one row an event, and what became of the clips of a run."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kairoscope.core import UnreadableClip
from kairoscope.data.corrections import corrected_events, read_corrections
from kairoscope.runs import Run
from kairoscope.storage import canonical_json, write_text_atomic
from kairoscope.video.clip import frame_times

COLUMNS = (
    "clip",
    "event",
    "start_s",
    "end_s",
    "start_frame",
    "end_frame",
    "confidence",
    "flags",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the clips of a run."""

    num_clips: int
    num_events: int
    num_flagged: int
    problems: tuple[tuple[str, str], ...]
    """(clip, reason) of every clip without boundaries."""
    num_damaged: int = 0
    """Rows of an earlier run that were not as they were written, and so were made again."""


def write_boundaries(run: Run, order: Sequence[str], columns: Sequence[str] = COLUMNS) -> Tally:
    """Write `boundaries.jsonl` and `.csv` from the finished clips, in the order of the source.

    One clip is in memory at a time, however many there are.
    """
    num_clips = num_events = num_flagged = 0
    problems: list[tuple[str, str]] = []
    for row in _settled(run, order):
        alone = [] if row["problem"] is None else [row["problem"]]
        problems += [(row["clip"], reason) for reason in row.get("listed", alone)]
        num_clips += 1
        num_events += len(row["events"])
        num_flagged += sum(bool(event["flags"]) for event in row["events"])
    write_text_atomic(run.path / "boundaries.jsonl", _json_lines(run, order))
    write_text_atomic(run.path / "boundaries.csv", _csv_lines(run, order, columns))
    run.write_json("problems.json", [{"clip": clip, "reason": why} for clip, why in problems])
    return Tally(
        num_clips=num_clips,
        num_events=num_events,
        num_flagged=num_flagged,
        problems=tuple(problems),
    )


def _settled(run: Run, order: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The finished clips, with what a person has set in the place of what a model said."""
    corrections = read_corrections(run.path)
    for row in run.rows_ordered("clips", "clip", order):
        correction = corrections.get(row["clip"])
        if correction is not None and "file" in row:  # of a dataset's it has been used already
            times_s: Sequence[float] | None = None
            with suppress(UnreadableClip):
                times_s = frame_times(run.path / row["video"])
            names = tuple(event.name for event in correction.events)
            row |= {"problem": None, "events": corrected_events(correction, names, times_s)}
        yield row


def _found(run: Run, order: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One row an event."""
    for row in _settled(run, order):
        for event in row["events"]:
            yield {"clip": row["clip"], **event}


def _json_lines(run: Run, order: Sequence[str]) -> Iterator[str]:
    for event in _found(run, order):
        yield canonical_json(event) + "\n"


def _csv_lines(run: Run, order: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for event in _found(run, order):
        lists = {key: "; ".join(event[key]) for key in ("flags", "reasons") if key in event}
        writer.writerow(event | lists)
        yield table.getvalue()
        table.seek(0)
        table.truncate()
    yield table.getvalue()
