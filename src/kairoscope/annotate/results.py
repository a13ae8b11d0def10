"""What an annotated dataset leaves in its run: one row an episode, and one a boundary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kairoscope.annotate.clips import View
from kairoscope.annotate.combining import Boundary
from kairoscope.annotate.tables import COLUMNS
from kairoscope.events import Event
from kairoscope.robot.columns import Floats
from kairoscope.robot.saving import Found
from kairoscope.runs import Run

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
    arms: Sequence[str] = (),
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
        arms: which arm does each event; empty: one does them all.
    """
    times_s = np.asarray(row["times_s"], dtype=np.float64)
    span = view.span if view is not None and clip is None else None
    begins_s = span.start_s if span else 0.0
    file = clip or (span.path if span else None)
    notes = list(row["notes"])
    if span and begins_s:
        notes.append(f"its video is {span.path.name} from {begins_s:.2f} s on")
    missing = [b for b in boundaries if b.frame is None]
    listed = [f"no boundary for {b.event!r}: {'; '.join(b.reasons)}" for b in missing]
    return {
        "clip": row["clip"],
        "video": run.path_to(file) if file is not None else None,
        **({"video_start_s": round(begins_s, 4)} if span and span.end_s is not None else {}),
        "duration_s": float(times_s[-1]),
        "num_frames": len(times_s),
        "task": row["task"],
        "events": _events(boundaries, times_s, arms or ("",) * len(boundaries)),
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


def _events(
    boundaries: Sequence[Boundary], times_s: Floats, arms: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows of the events that have an end; each begins where its arm's one before it is done."""
    rows: list[dict[str, Any]] = []
    starts: dict[str, int] = {}
    for boundary, arm in zip(boundaries, arms, strict=True):
        if boundary.frame is None:
            continue
        start = starts.get(arm, 0)
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
                "doubt_s": None if boundary.doubt_s is None else round(boundary.doubt_s, 4),
                "start_interval_s": None,
                "end_interval_s": interval_s and [round(t, 3) for t in interval_s],
                "flags": list(boundary.flags),
                "source": boundary.source,
                "reasons": list(boundary.reasons),
            }
        )
        starts[arm] = boundary.frame
    return rows


def found_in(row: Mapping[str, Any], *, is_hdf5: bool, is_corrected: bool = False) -> Found | None:
    """What is to be written for an episode; None where that is nothing, or nothing new.

    An HDF5 file may lack other things than labels that its tools read beside them. What a person
    corrected is written into other formats with the events that it has.
    """
    events = row["events"]
    if row["listed"] and (is_hdf5 or not is_corrected or not events):
        return None
    is_old = not is_corrected and all(event["source"] == "label" for event in events)
    if is_old and not is_hdf5:
        return None
    return Found(
        events=tuple(Event(e["event"], e["start_s"], e["end_s"]) for e in events),
        end_frames=tuple(e["end_frame"] for e in events),
        confidences=tuple(e["confidence"] for e in events),
    )
