"""What the page reads about clips, as JSON values."""

from collections.abc import Mapping
from typing import Any

from kairoscope.report.svg import printable
from kairoscope.review.curves import thinned
from kairoscope.review.folder import ReviewFolder, Seen
from kairoscope.review.media import Album, Film

KINDS = {"label": "label", "signals": "signals", "model": "model", "prior": "other demonstrations"}


def list_payload(folder: ReviewFolder) -> dict[str, Any]:
    """All clips, those to review first at the top."""
    return {
        "title": printable(folder.title),
        "folder": printable(str(folder.path)),
        "events": [printable(name) for name in folder.query],
        "arms": list(folder.arms),
        "clips": [
            {**clip.plain(), "clip": printable(clip.clip), "saved": clip.clip in folder.corrections}
            for clip in folder.clips
        ],
    }


def clip_payload(folder: ReviewFolder, seen: Seen) -> dict[str, Any]:
    """Everything about one clip."""
    found = folder.events(seen)
    saved = folder.corrected(seen)
    row = seen.row
    return {
        "times_s": [round(float(time_s), 4) for time_s in seen.times_s],
        "shown": _shown(seen),
        "why": printable(seen.why),
        "cameras": [printable(name) for name in seen.cameras],
        "camera": None if seen.camera is None else printable(seen.camera),
        "found": [_placed(event) for event in found],
        "saved": None if saved is None else [_placed(event) for event in saved],
        "events": [_about(event) for event in found],
        "curves": {
            slot: {source: thinned(curve_T) for source, curve_T in own.items()}
            for slot, own in folder.curves(seen).items()
        },
        "notes": [printable(str(n)) for n in (*row.get("listed", ()), *row.get("notes", ()))],
    }


def _shown(seen: Seen) -> dict[str, Any] | None:
    if isinstance(seen.shown, Film):
        return {
            "kind": "film",
            "starts_s": [round(float(t), 6) for t in seen.shown.starts_s],
            "holds_s": [round(float(t), 6) for t in seen.shown.holds_s],
            "off_frames": seen.shown.off_frames,
        }
    return {"kind": "album"} if isinstance(seen.shown, Album) else None


def _placed(event: Mapping[str, Any]) -> dict[str, int] | None:
    """An event's frames; None where it has none."""
    if event.get("end_frame") is None:
        return None
    return {"start": event["start_frame"], "end": event["end_frame"]}


def _about(event: Mapping[str, Any]) -> dict[str, Any]:
    """What was found out about an event, to be read."""
    return {
        "confidence": event.get("confidence"),
        "flags": [printable(flag) for flag in event.get("flags", ())],
        "reasons": [printable(reason) for reason in event.get("reasons", ())],
        "source": KINDS.get(str(event.get("source")), "model" if "end_s" in event else None),
        "start_interval_s": event.get("start_interval_s"),
        "end_interval_s": event.get("end_interval_s"),
    }
