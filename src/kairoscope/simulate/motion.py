"""Motion of the hand: segments with smooth (minimum-jerk) profiles, joined in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kairoscope.simulate.arm import Hand


@dataclass(frozen=True, slots=True)
class Segment:
    """From `start` to `end` in `duration_s`, along a line, an arc above it, or a given path."""

    start: Hand
    end: Hand
    duration_s: float
    arc_m: float = 0.0
    path: Callable[[float], Hand] | None = None
    """Progress 0..1 -> hand; replaces the straight line."""

    def at(self, time_s: float) -> Hand:
        """The hand `time_s` after the segment began."""
        s = min(max(time_s / self.duration_s, 0.0), 1.0) if self.duration_s > 0 else 1.0
        u = s * s * s * (10.0 + s * (6.0 * s - 15.0))
        if self.path is not None:
            return self.path(u)
        hand = self.start + (self.end - self.start) * u
        hand[2] += self.arc_m * 4.0 * u * (1.0 - u)
        return hand


class Timeline:
    """Segments one after the other; after the last the hand stays where it is."""

    def __init__(self, segments: Sequence[Segment]):
        self._segments = segments
        self._ends_s = np.cumsum([segment.duration_s for segment in segments])

    @property
    def duration_s(self) -> float:
        """When the last segment ends."""
        return float(self._ends_s[-1])

    def at(self, time_s: float) -> Hand:
        """The hand at `time_s >= 0`."""
        index = int(np.searchsorted(self._ends_s, time_s, side="right"))
        index = min(index, len(self._segments) - 1)
        segment = self._segments[index]
        return segment.at(time_s - float(self._ends_s[index]) + segment.duration_s)
