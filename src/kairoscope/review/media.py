"""Where a clip can be seen: a video file, or a part of one, or pictures, frame by frame.

Frames are addressed by their number in the clip. For a video, each has the time at which its file
shows it, from the file's own packets, never number / fps.
"""

import io
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kairoscope.core import UnreadableClip
from kairoscope.robot.columns import Floats
from kairoscope.robot.episode import Dataset, VideoSpan
from kairoscope.storage import file_state
from kairoscope.video.clip import Scan, scan
from kairoscope.video.cutting import BORDER_S
from kairoscope.video.decode import decode_frames

JPEG_QUALITY = 92
AT_ONCE = 24
"""Frames decoded together, because those beside a wanted one are wanted next."""
KEPT_EPISODES = 2
KEPT_FRAMES = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A clip in a video file."""

    path: Path
    starts_s: Sequence[float]
    """(T,) when the file shows each frame of the clip, in s from the file's first frame."""
    holds_s: Sequence[float]
    """(T,) for how long."""
    off_frames: int = 0
    """How many frames of the clip the video does not have at their times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Album:
    """A clip as pictures in a dataset's own files."""

    episode: str
    camera: str


class Cinema:
    """Finds frames. Keeps what was read last; may be asked by several threads."""

    def __init__(self) -> None:
        self._scans: dict[Path, tuple[Any, Scan]] = {}
        self._episodes: OrderedDict[tuple[str, str], NDArray[np.uint8]] = OrderedDict()
        self._frames: OrderedDict[tuple[Path, int], bytes] = OrderedDict()
        self._lock = Lock()

    def scan(self, path: Path) -> Scan:
        """`video.clip.scan`, once for as long as the file stays the same. Raises UnreadableClip."""
        state = file_state(path)
        known = self._scans.get(path)
        if known is None or known[0] != state:
            known = (state, scan(path))
            self._scans[path] = known
        return known[1]

    def film(self, span: VideoSpan, times_s: Floats | None) -> Film:
        """A clip in a file.

        Args:
            span: where.
            times_s: (T,) of the clip's frames from its start; None: those of the file.

        Raises UnreadableClip.
        """
        shown_s = np.asarray(self.scan(span.path).times_s)
        steps = np.diff(shown_s)
        usual_s = float(np.median(steps)) if len(steps) else 1 / 30
        holds_s = np.append(steps, usual_s)
        if times_s is None:
            return Film(path=span.path, starts_s=shown_s.tolist(), holds_s=holds_s.tolist())
        wanted_s = span.start_s + times_s
        last_s = np.inf if span.end_s is None else span.end_s - BORDER_S
        inside = np.flatnonzero((shown_s >= span.start_s - BORDER_S) & (shown_s < last_s))
        if len(inside) == len(times_s):  # one for one, whatever rate the dataset states
            return Film(
                path=span.path,
                starts_s=shown_s[inside].tolist(),
                holds_s=holds_s[inside].tolist(),
            )
        after = np.clip(np.searchsorted(shown_s, wanted_s), 1, max(1, len(shown_s) - 1))
        before = after - 1
        after = np.minimum(after, len(shown_s) - 1)
        near = np.where(wanted_s - shown_s[before] <= shown_s[after] - wanted_s, before, after)
        off = np.abs(shown_s[near] - wanted_s) > 0.75 * usual_s
        return Film(
            path=span.path,
            starts_s=shown_s[near].tolist(),
            holds_s=holds_s[near].tolist(),
            off_frames=int(off.sum()),
        )

    def picture_of_film(self, film: Film, frame: int) -> bytes:
        """One frame as JPEG, for browsers that cannot play the file. Raises UnreadableClip."""
        clip = self.scan(film.path)
        shown_s = np.asarray(clip.times_s)
        place = int(np.abs(shown_s - film.starts_s[frame]).argmin())
        with self._lock:
            if (film.path, place) not in self._frames:
                last = min(len(shown_s), place + AT_ONCE)
                ticks = clip.packets.shown[place:last]
                for number, (_, picture) in enumerate(decode_frames(clip, ticks), place):
                    pixels = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
                    turned = np.rot90(pixels, clip.info.rotation_deg // 90)
                    self._frames[film.path, number] = jpeg(turned)
                while len(self._frames) > KEPT_FRAMES:
                    self._frames.popitem(last=False)
            return self._frames[film.path, place]

    def picture_of_album(self, dataset: Dataset, album: Album, frame: int) -> bytes:
        """One picture as JPEG. Raises UnreadableEpisode, or UnreadableClip where it is not there."""
        key = (album.episode, album.camera)
        with self._lock:
            if key not in self._episodes:
                self._episodes[key] = dataset.pictures(*key)
                while len(self._episodes) > KEPT_EPISODES:
                    self._episodes.popitem(last=False)
            self._episodes.move_to_end(key)
            pictures = self._episodes[key]
        if not 0 <= frame < len(pictures):
            raise UnreadableClip(f"{album.episode}: has {len(pictures)} pictures, no {frame}")
        return jpeg(pictures[frame])


def jpeg(pixels_HWC: NDArray[np.uint8]) -> bytes:
    """RGB pixels as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels_HWC)).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
