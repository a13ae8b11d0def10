"""The clips of a training run: decoded once, checked before the first step, kept as bytes."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kairoscope.core import FramePolicy, Sample, UnreadableClip
from kairoscope.data.tracks import HandTrack
from kairoscope.train.examples import Clip
from kairoscope.video.frames import load_frames
from kairoscope.video.sampling import PatchGeometry

DENSITY = 3
"""With augmentation, frames are kept this many times more densely than the policy samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A sample that cannot be trained on, and why."""

    sample_id: str
    reason: str


def available_bytes() -> int:
    """Memory that this process may still take: of the machine, or of its control group if less."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit, used = _lines("/sys/fs/cgroup/memory.max"), _lines("/sys/fs/cgroup/memory.current")
    if limit and used and limit[0].isdigit():
        free = min(free, int(limit[0]) - int(used[0]))
    return max(0, free)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return []


class ClipStore:
    """Decoded clips of samples, in memory up to a limit, decoded again beyond it.

    The first clips stay and later ones never push them out. Every epoch asks for every clip once,
    in a new order: with room for a share f of the clips, keeping the first ones answers f of the
    requests from memory, while throwing out the least recently used answers fewer.
    """

    def __init__(
        self,
        policy: FramePolicy,
        geometry: PatchGeometry,
        *,
        dense: bool,
        limit_bytes: int | None = None,
        tracks: Mapping[str, HandTrack] | None = None,
    ) -> None:
        """Keep at most `limit_bytes` of pictures; `dense` for augmentation.

        None takes a quarter of the memory that is free now. `tracks`: sample id -> what its hand
        does, where that is known.
        """
        factor = DENSITY if dense else 1
        self.policy = replace(
            policy,
            stamp="none",
            fps=policy.fps * factor,
            max_frames=policy.max_frames * factor,
            total_pixels=policy.total_pixels * factor,
        )
        self.geometry = geometry
        self.limit_bytes = available_bytes() // 4 if limit_bytes is None else limit_bytes
        self.tracks = tracks or {}
        self._clips: dict[str, Clip] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, sample: Sample[Any, Any]) -> Clip:
        """Pictures of a sample's clip. Raises UnreadableClip. May be called from many threads."""
        kept = self._clips.get(sample.id)
        if kept is not None:
            return kept
        frames = load_frames(sample.video, self.policy, self.geometry)
        track = self.tracks.get(sample.id)
        clip = Clip(
            pictures_THWC=frames.pixels_THWC,
            times_s=frames.times_s,
            hand=track and track.at(frames.times_s),
        )
        size = clip.pictures_THWC.numel()
        with self._lock:
            if sample.id not in self._clips and self._bytes + size <= self.limit_bytes:
                self._clips[sample.id] = clip
                self._bytes += size
        return clip

    def check(
        self,
        samples: Sequence[Sample[Any, Any]],
        examine: Callable[[Sample[Any, Any], Clip], str | None],
        on_progress: Callable[[int, int], None] | None = None,
    ) -> tuple[list[Sample[Any, Any]], list[Rejected]]:
        """Decode every clip once and look at it.

        Args:
            samples: what shall be trained on.
            examine: a reason to reject the sample, or None.
            on_progress: called with (done, all).

        Returns:
            The good samples in their order, and the others with reasons.
        """

        def look(sample: Sample[Any, Any]) -> str | None:
            try:
                return examine(sample, self.get(sample))
            except UnreadableClip as error:
                return str(error)

        good: list[Sample[Any, Any]] = []
        bad: list[Rejected] = []
        pool = ThreadPoolExecutor(max(2, (os.cpu_count() or 2) - 1))
        try:
            for done, (sample, reason) in enumerate(
                zip(samples, pool.map(look, samples), strict=True), 1
            ):
                if reason is None:
                    good.append(sample)
                else:
                    bad.append(Rejected(sample_id=sample.id, reason=reason))
                if on_progress is not None:
                    on_progress(done, len(samples))
        finally:
            # After Ctrl-C nobody wants the clips that wait.
            pool.shutdown(cancel_futures=True)
        return good, bad
