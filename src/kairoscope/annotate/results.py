"""What an annotated dataset leaves in its run: one row an episode, and one a boundary."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kairoscope.annotate.clips import View
from kairoscope.annotate.combining import Boundary
from kairoscope.annotate.videos import COLUMNS
from kairoscope.events import Event
from kairoscope.robot.columns import Floats
from kairoscope.robot.saving import Found
from kairoscope.runs import Run
from kairoscope.storage import canonical_json, write_text_atomic

DATASET_COLUMNS = (*COLUMNS, "source", "reasons")


def result_row(
    row: Mapping[str, Any],
    boundaries: Sequence[Boundary],
    trouble: str | None,
    *,
    view: View | None,
    clip: Path | None,
    run: Run,
    posteriors: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """One row of `clips.jsonl`.

    Args:
        row: of `signals.jsonl`.
        boundaries: of every event, in order.
        trouble: why the boundaries could not be used for generation, or None.
        view: where the episode can be seen.
        clip: the video made or used for it; None: the view's file, where there is one.
        run: where the row goes.
        posteriors: of the model's answer.
    """
    times_s = np.asarray(row["times_s"], dtype=np.float64)
    span = view.span if view is not None and clip is None else None
    begins_s = span.start_s if span else 0.0
    file = clip or (span.path if span and not begins_s else None)
    notes = list(row["notes"])
    if span and begins_s:
        notes.append(f"its video is {span.path.name} from {begins_s:.2f} s on")
    missing = [b for b in boundaries if b.frame is None]
    listed = [f"no boundary for {b.event!r}: {'; '.join(b.reasons)}" for b in missing]
    return {
        "clip": row["clip"],
        "video": run.path_to(file) if file is not None else None,
        "duration_s": float(times_s[-1]),
        "num_frames": len(times_s),
        "task": row["task"],
        "events": _events(boundaries, times_s),
        "posteriors": list(posteriors),
        "problem": "; ".join(listed) if len(missing) == len(boundaries) else None,
        "listed": [*listed, *([trouble] if trouble else [])],
        "notes": notes,
    }


def failed_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of an episode that cannot be read."""
    return {
        "clip": row["clip"],
        "video": None,
        "duration_s": 0.0,
        "events": [],
        "problem": row["problem"],
        "listed": [row["problem"]],
    }


def _events(boundaries: Sequence[Boundary], times_s: Floats) -> list[dict[str, Any]]:
    """Rows of the events that have an end; each begins where the one before it is done."""
    rows: list[dict[str, Any]] = []
    start = 0
    for boundary in boundaries:
        if boundary.frame is None:
            continue
        interval_s = boundary.interval_s
        rows.append(
            {
                "event": boundary.event,
                "start_s": round(float(times_s[start]), 4),
                "end_s": round(float(times_s[boundary.frame]), 4),
                "start_frame": start,
                "end_frame": boundary.frame,
                "confidence": None
                if boundary.confidence is None
                else round(boundary.confidence, 4),
                "start_interval_s": None,
                "end_interval_s": interval_s and [round(t, 3) for t in interval_s],
                "flags": list(boundary.flags),
                "source": boundary.source,
                "reasons": list(boundary.reasons),
            }
        )
        start = boundary.frame
    return rows


def found_in(row: Mapping[str, Any], *, is_hdf5: bool) -> Found | None:
    """What is to be written for an episode; None where that is nothing, or nothing new.

    An HDF5 file may lack other things than labels that its tools read beside them.
    """
    events = row["events"]
    if row["listed"] or (not is_hdf5 and all(event["source"] == "label" for event in events)):
        return None
    return Found(
        events=tuple(Event(e["event"], e["start_s"], e["end_s"]) for e in events),
        end_frames=tuple(e["end_frame"] for e in events),
    )


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """JSON lines, the whole new file or the old one, one row in memory at a time."""
    write_text_atomic(path, (canonical_json(row) + "\n" for row in rows))
