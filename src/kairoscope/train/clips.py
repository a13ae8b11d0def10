"""The clips of a training run: decoded once, checked before the first step, kept as bytes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from kairoscope.core import FramePolicy, Sample, UnreadableClip
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


class ClipStore:
    """Decoded clips of samples, in memory up to a limit, decoded again beyond it."""

    def __init__(
        self,
        policy: FramePolicy,
        geometry: PatchGeometry,
        *,
        dense: bool,
        limit_bytes: int = 6 * 2**30,
    ) -> None:
        """Keep at most `limit_bytes` of pictures; `dense` for augmentation."""
        factor = DENSITY if dense else 1
        self.policy = replace(
            policy,
            stamp="none",
            fps=policy.fps * factor,
            max_frames=policy.max_frames * factor,
            total_pixels=policy.total_pixels * factor,
        )
        self.geometry = geometry
        self.limit_bytes = limit_bytes
        self._clips: dict[str, Clip] = {}
        self._bytes = 0

    def get(self, sample: Sample[Any, Any]) -> Clip:
        """Pictures of a sample's clip. Raises UnreadableClip."""
        if sample.id in self._clips:
            return self._clips[sample.id]
        frames = load_frames(sample.video, self.policy, self.geometry)
        clip = Clip(pictures_THWC=frames.pixels_THWC, times_s=frames.times_s)
        size = clip.pictures_THWC.numel()
        if self._bytes + size <= self.limit_bytes:
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
        with ThreadPoolExecutor(2) as pool:
            for done, (sample, reason) in enumerate(
                zip(samples, pool.map(look, samples), strict=True), 1
            ):
                if reason is None:
                    good.append(sample)
                else:
                    bad.append(Rejected(sample_id=sample.id, reason=reason))
                if on_progress is not None:
                    on_progress(done, len(samples))
        return good, bad
