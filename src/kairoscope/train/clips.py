"""The clips of a training run: decoded once, kept as bytes."""

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch

from kairoscope.core import FramePolicy, Sample
from kairoscope.data.tracks import HandTrack
from kairoscope.train.examples import Clip
from kairoscope.video.frames import load_frames
from kairoscope.video.sampling import PatchGeometry

DENSITY = 3
"""With augmentation, frames are kept this many times more densely than the policy samples."""


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


class Clips(Protocol):
    """Where training has its clips from; see `ClipStore` for what each does."""

    def get(self, sample: Sample[Any, Any]) -> Clip: ...  # noqa: D102
    def decode(self, sample: Sample[Any, Any]) -> Clip: ...  # noqa: D102
    def keep(self, sample: Sample[Any, Any], clip: Clip) -> None: ...  # noqa: D102
    def received(  # noqa: D102
        self, sample: Sample[Any, Any], pictures_THWC: Any, times_s: tuple[float, ...]
    ) -> Clip: ...
    @property
    def full(self) -> bool: ...  # noqa: D102


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
        clip = self.decode(sample)
        self.keep(sample, clip)
        return clip

    def decode(self, sample: Sample[Any, Any]) -> Clip:
        """Pictures of a sample's clip, read from its file. Raises UnreadableClip."""
        frames = load_frames(sample.video, self.policy, self.geometry)
        return self.received(sample, frames.pixels_THWC.numpy(), frames.times_s)

    def keep(self, sample: Sample[Any, Any], clip: Clip) -> None:
        """Hold a decoded clip in memory if there is room for it."""
        size = clip.pictures_THWC.numel()
        with self._lock:
            if sample.id not in self._clips and self._bytes + size <= self.limit_bytes:
                self._clips[sample.id] = clip
                self._bytes += size

    def received(
        self, sample: Sample[Any, Any], pictures_THWC: Any, times_s: tuple[float, ...]
    ) -> Clip:
        """A clip that another process has decoded."""
        track = self.tracks.get(sample.id)
        pictures = torch.from_numpy(pictures_THWC)
        return Clip(pictures_THWC=pictures, times_s=times_s, hand=track and track.at(times_s))

    def release(self) -> None:
        """Let go of all pictures in memory."""
        with self._lock:
            self._clips.clear()
            self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether a clip as large as those in memory has no room any more."""
        return self._bytes + self._bytes // max(1, len(self._clips)) > self.limit_bytes
