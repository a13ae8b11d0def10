"""Tracks: what is known about every frame of a clip, as numbers from 0 to 1. Pure.

`tracks.jsonl` beside the labels holds one row a clip:

    {"video": "clips/a.mp4", "times_s": [0.0, 0.033, …],
     "tracks": {"hand_column": [0.41, …], "hand_row": […], "opening": […], "holding": […]}}

The simulator writes it; a robot's own recordings can. Training may use it, answering never does.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from kairoscope.core import Sample, UserError
from kairoscope.data.rows import parse_json_line, read_lines

TRACKS_NAME = "tracks.jsonl"
HAND = ("hand_column", "hand_row", "opening", "holding")
"""The quantities that say where the hand is in the picture (from the left, from the top), how far
its fingers are apart, and whether it holds something."""
TOLERANCE_S = 5e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class HandTrack:
    """The hand at a series of moments."""

    times_s: tuple[float, ...]
    column: tuple[float, ...]
    row: tuple[float, ...]
    opening: tuple[float, ...]
    holding: tuple[float, ...]

    def at(self, times_s: Sequence[float]) -> "HandTrack":
        """The hand at other moments: the latest row at or before each."""
        places = [max(0, bisect_right(self.times_s, t + TOLERANCE_S) - 1) for t in times_s]
        return self.take(places, times_s)

    def take(self, places: Sequence[int], times_s: Sequence[float]) -> "HandTrack":
        """Some of the rows, under new times."""
        return HandTrack(
            times_s=tuple(times_s),
            column=tuple(self.column[i] for i in places),
            row=tuple(self.row[i] for i in places),
            opening=tuple(self.opening[i] for i in places),
            holding=tuple(self.holding[i] for i in places),
        )

    def mirrored(self) -> "HandTrack":
        """The hand in the mirrored picture."""
        return HandTrack(
            times_s=self.times_s,
            column=tuple(1.0 - value for value in self.column),
            row=self.row,
            opening=self.opening,
            holding=self.holding,
        )


def hand_tracks_of(samples: Sequence[Sample[Any, Any]]) -> dict[str, HandTrack]:
    """Sample id -> hand track, from the `tracks.jsonl` beside the labels that samples come from."""
    folders: dict[Path, dict[str, HandTrack]] = {}
    found: dict[str, HandTrack] = {}
    for sample in samples:
        video = sample.video.as_posix()
        if not video.endswith("/" + sample.id):
            continue
        folder = Path(video.removesuffix(sample.id))
        if folder not in folders:
            folders[folder] = read_hand_tracks(folder)
        if sample.id in folders[folder]:
            found[sample.id] = folders[folder][sample.id]
    return found


def read_hand_tracks(folder: Path) -> dict[str, HandTrack]:
    """Clip name (as in the labels) -> its hand track; empty where the folder has no tracks.

    Raises:
        UserError: a row that is no track, with file and line.
    """
    file = (folder if folder.is_dir() else folder.parent) / TRACKS_NAME
    if not file.is_file():
        return {}
    tracks: dict[str, HandTrack] = {}
    for number, raw in read_lines(file):
        try:
            name, track = _track(parse_json_line(raw))
        except UserError as error:
            raise UserError(f"{file}:{number}: {error}") from error
        tracks[name] = track
    return tracks


def _track(row: Any) -> tuple[str, HandTrack]:
    """(clip name, its track) of a row. Raises UserError for what is none."""
    try:
        name = str(row["video"])
        times_s, *values = (
            tuple(float(value) for value in values)
            for values in (row["times_s"], *(row["tracks"][name] for name in HAND))
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"is no track ({error!r} is missing or wrong)") from error
    lengths = {len(times_s), *map(len, values)}
    if len(lengths) != 1:
        raise UserError(f"its lists have {sorted(lengths)} values, not one length")
    wrong = [value for track in values for value in track if not 0 <= value <= 1]
    if wrong:
        raise UserError(f"holds the value {wrong[0]:g}; allowed: 0 to 1")
    if (
        not all(map(math.isfinite, times_s))
        or not times_s
        or any(later <= earlier for earlier, later in pairwise(times_s))
    ):
        raise UserError("times_s must hold finite times that rise, at least one")
    column, height, opening, holding = values
    return name, HandTrack(
        times_s=times_s, column=column, row=height, opening=opening, holding=holding
    )
