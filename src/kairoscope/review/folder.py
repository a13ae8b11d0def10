"""An annotated folder as the page sees it: clips, the doubtful first, and everything about one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from kairoscope.annotate.clips import view_of
from kairoscope.annotate.evidence import ROWS, seen_in
from kairoscope.annotate.folder import open_any
from kairoscope.core import UserError
from kairoscope.data.corrections import (
    corrected_events,
    forget_correction,
    read_corrections,
    save_correction,
)
from kairoscope.data.labels import LabelRow
from kairoscope.events import Query
from kairoscope.json_lines import LineIndex
from kairoscope.report.annotation_page import DOUBTFUL
from kairoscope.review.checking import Fault, Placed, faults
from kairoscope.review.curves import CurveReader
from kairoscope.review.media import Album, Cinema, Film
from kairoscope.robot.columns import Floats, frame_step_s
from kairoscope.robot.episode import Dataset, VideoSpan
from kairoscope.robot.naming import SignalPlan, signal_plan
from kairoscope.runs import Run

NAMED = 5
"""Of the clips that there are, where another one is asked for."""
KEPT = 16
"""Clips that are not looked up again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One clip in the list."""

    clip: str
    confidence: float | None
    """Of its least sure event."""
    flags: tuple[str, ...]
    problem: str | None
    """Why it has no boundaries."""

    is_readable: bool = True
    doubt_s: float | None = None
    """How far off its events are expected to be in all, where the run says so."""

    @property
    def order(self) -> tuple[int, float]:
        """The smaller, the sooner it is to be looked at.

        Without any boundary first, then by how far off it is expected to be, or with a flag and the
        least sure; then labels, and last what cannot be read at all.
        """
        if self.problem is not None:
            return (0 if self.is_readable else 3), 0.0
        if self.doubt_s is not None:
            return 1, -self.doubt_s
        if self.confidence is not None:
            return 1, self.confidence - bool(self.flags)
        return 2, 0.0

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "clip": self.clip,
            "confidence": self.confidence,
            "flags": list(self.flags),
            "problem": self.problem,
            "doubtful": bool(self.flags)
            or self.problem is not None
            or (self.confidence is not None and self.confidence < DOUBTFUL),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One clip with its frames."""

    row: Mapping[str, Any]
    """Of `clips.jsonl`."""
    times_s: Floats
    """(T,); empty where its frames are not known."""
    shown: Film | Album | None
    why: str = ""
    """Why it cannot be shown."""
    cameras: tuple[str, ...] = ()
    camera: str | None = None


class ReviewFolder:
    """A finished annotation, with what a person has said about it so far.

    Raises UserError where the folder holds none.
    """

    def __init__(self, path: Path) -> None:
        run = Run.read(path)
        if run.kind != "annotation":
            raise UserError(
                f"{path}: a run of kind {run.kind!r}; only annotated clips are reviewed"
            )
        self.path = path
        self.config = run.config
        task = run.config["task"]
        self.query: Query = tuple(task["events"])
        self.arms: tuple[str, ...] = tuple(task.get("arms") or ("",) * len(self.query))
        self.title = str(task["name"])
        self.cinema = Cinema()
        self._lock = RLock()
        self._lately: dict[tuple[str, str | None], Seen] = {}
        self._rows = LineIndex(run.file("clips"), "clip")
        self._signals = LineIndex(run.file(ROWS), "clip")
        self.clips = sorted(map(_summary, self._rows.rows()), key=lambda clip: clip.order)
        if not self.clips:
            raise UserError(
                f"{path}: no clip has been annotated yet; run `kairoscope annotate` first"
            )
        self.corrections = read_corrections(path)
        self._curves = CurveReader(run, self.query, self.arms, self._signals, self.corrections)

    @property
    def is_dataset(self) -> bool:
        """Whether it was made of a robot dataset, or a folder of clips with labels."""
        return "camera" in self.config

    @cached_property
    def dataset(self) -> Dataset:
        """What was annotated. Raises UserError where it is there no longer."""
        source = (self.path.resolve() / str(self.config["source"])).resolve()
        return open_any(source)

    @cached_property
    def plan(self) -> SignalPlan | None:
        """The signals of an HDF5 file, where it is still there."""
        if not self.is_dataset:
            return None
        task = self.config["task"]
        try:
            return signal_plan(
                self.dataset,
                self.query,
                signals=tuple(task.get("signals") or ()),
                offsets=tuple((low, high) for low, high in task.get("offsets") or ()),
                arms=tuple(task.get("arms") or ()),
            )
        except UserError:
            return None

    def seen(self, clip: str, camera: str | None = None) -> Seen:
        """One clip, through the wanted camera. Raises UserError where there is no such clip."""
        with self._lock:
            if (clip, camera) not in self._lately:
                if len(self._lately) >= KEPT:
                    self._lately.clear()
                self._lately[clip, camera] = self._look_up(clip, camera)
            return self._lately[clip, camera]

    def _look_up(self, clip: str, camera: str | None) -> Seen:
        row = self._rows.get(clip)
        if row is None:
            first = ", ".join(one.clip for one in self.clips[:NAMED])
            raise UserError(f"{self.path}: has no clip {clip!r}; the first to review: {first}")
        signals = self._signals.get(clip)
        times_s = np.asarray(signals["times_s"], np.float64) if signals else None
        try:
            return self._seen(row, times_s, camera)
        except UserError as error:
            known = np.zeros(0) if times_s is None else times_s
            return Seen(row=row, times_s=known, shown=None, why=str(error))

    def _seen(self, row: Mapping[str, Any], times_s: Floats | None, camera: str | None) -> Seen:
        if not self.is_dataset:
            film = self.cinema.film(VideoSpan(path=self._file(row)), None)
            return Seen(row=row, times_s=np.asarray(film.starts_s), shown=film)
        if times_s is None or not len(times_s):
            raise UserError(str(row.get("problem") or "its frames are not known"))
        shown = seen_in(self.dataset.episode(row["clip"]))
        cameras = tuple(dict.fromkeys([*shown["videos"], *shown["cameras_in_file"]]))
        wanted = camera if camera in cameras else self.config["camera"]
        view = view_of(shown, wanted if wanted in cameras else None)
        if view is None:
            if row["video"] is None:
                raise UserError("the dataset has no video and no pictures of it")
            made = self.cinema.film(VideoSpan(path=self._file(row)), times_s)  # drawn for the model
            return Seen(row=row, times_s=times_s, shown=made)
        media: Film | Album = Album(episode=row["clip"], camera=view.camera)
        if view.span is not None:
            media = self.cinema.film(view.span, times_s)
        return Seen(row=row, times_s=times_s, shown=media, cameras=cameras, camera=view.camera)

    def _file(self, row: Mapping[str, Any]) -> Path:
        return self.path.resolve() / str(row["video"])

    def picture(self, seen: Seen, frame: int) -> bytes:
        """One frame as JPEG. Raises UserError where there is none."""
        if isinstance(seen.shown, Album):
            with self._lock:
                return self.cinema.picture_of_album(self.dataset, seen.shown, frame)
        if seen.shown is None or not 0 <= frame < len(seen.shown.starts_s):
            raise UserError(f"{seen.row['clip']}: has no frame {frame}")
        return self.cinema.picture_of_film(seen.shown, frame)

    def events(self, seen: Seen) -> list[dict[str, Any]]:
        """What was found for each event of the task, and where; None where it was not."""
        found = {event["event"]: event for event in seen.row["events"]}
        return [found.get(name, {"event": name}) for name in self.query]

    def corrected(self, seen: Seen) -> list[dict[str, Any]] | None:
        """What a person said about the same events; None where nobody did."""
        row = self.corrections.get(seen.row["clip"])
        if row is None or not len(seen.times_s):
            return None
        rows = {e["event"]: e for e in corrected_events(row, self.query, seen.times_s.tolist())}
        return [rows.get(name, {"event": name}) for name in self.query]

    def curves(self, seen: Seen) -> dict[str, dict[str, Floats]]:
        """Slot (`end 1`, …) -> source -> (T,) probabilities; see `curves.CurveReader`."""
        return self._curves.read(seen.row, seen.times_s) if len(seen.times_s) else {}

    def faults(self, seen: Seen, placed: Sequence[Placed | None]) -> tuple[Fault, ...]:
        """What is wrong with boundaries; see `checking.faults`."""
        return faults(self.query, placed, len(seen.times_s), self.plan, self.arms)

    def save(self, seen: Seen, placed: Sequence[Placed | None]) -> tuple[Fault, ...]:
        """Keep boundaries as labels by hand, unless something stops that; returns what is wrong.

        Raises UserError where the file cannot be written.
        """
        wrong = self.faults(seen, placed)
        if any(fault.stops for fault in wrong):
            return wrong
        with self._lock:
            save_correction(self.path, self._label(seen, placed))
            self._reread()
        return wrong

    def forget(self, clip: str) -> None:
        """Take back what was saved about a clip."""
        with self._lock:
            forget_correction(self.path, clip)
            self._reread()

    def _reread(self) -> None:
        fresh: dict[str, LabelRow] = read_corrections(self.path)
        self.corrections.clear()
        self.corrections.update(fresh)

    def _label(self, seen: Seen, placed: Sequence[Placed | None]) -> dict[str, Any]:
        times_s, clip = seen.times_s, str(seen.row["clip"])
        there = [(place, one) for place, one in enumerate(placed) if one is not None]
        # A file that holds other clips, too, would not be the clip that the label is about.
        video = None if "video_start_s" in seen.row else seen.row.get("video")
        return {
            "clip": clip,
            "video": video or clip,
            "group": clip,
            "task": self.title,
            "duration_s": round(float(times_s[-1]) + frame_step_s(times_s), 4),
            "events": [
                {
                    "name": self.query[place],
                    "start_s": round(float(times_s[one.start]), 4),
                    "end_s": round(float(times_s[one.end]), 4),
                }
                for place, one in sorted(there, key=lambda found: found[1].end)
            ],
        }


def _summary(row: Mapping[str, Any]) -> Summary:
    events = row["events"]
    known = [e["confidence"] for e in events if e["confidence"] is not None]
    doubts = [e["doubt_s"] for e in events if e.get("doubt_s") is not None]
    return Summary(
        clip=row["clip"],
        confidence=min(known, default=None),
        flags=tuple(sorted({flag for event in events for flag in event["flags"]})),
        problem=row["problem"],
        is_readable=row.get("num_frames") is not None,
        doubt_s=sum(doubts) if doubts else None,
    )
