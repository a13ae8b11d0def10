"""Motions in one signal: where it goes from one level to another, whatever it does in between.

Pure. A motion is not a threshold being crossed: thresholds depend on the unit, on the object
between the fingers and on drift. It is a stretch of time in which the signal goes one way.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kairoscope.robot.columns import MOTION_SMOOTHING_S, Floats, frame_step_s, smoothed

LEAST_TRAVEL = 0.1
"""Of the signal's range. What travels less is drift, chatter or the hand giving way."""
NOISE_TIMES = 6.0
"""A motion travels at least this often the noise that is left after smoothing."""
SLOW_SHARE = 0.2
"""A motion lasts while it has this share of its greatest speed."""
SLOWEST_PER_S = 0.05
"""Ranges a second. What is slower than this is drift, however far it gets."""
PAUSE_S = 0.35
"""A motion that pauses for less than this is one motion."""
SPIKE_S = 0.1
"""What lasts less than this and goes back at once is a glitch of the recording."""
SETTLED_SHARE = 0.92
"""Of the way: fingers that give way or creep on have nearly all of it behind them by then."""


BEGUN_SHARE = 0.1
"""Of the way: by then an opening hand has parted from what it held."""


@dataclass(frozen=True, slots=True)
class Motion:
    """A stretch in which a signal goes one way."""

    start: int
    """Frame before it moves."""
    end: int
    """First frame at which it rests again, or nearly."""
    travel: float
    """How far, in the signal's range: positive upwards."""
    before: float
    """Level at `start`."""
    after: float
    """Level at `end`."""
    settled: int
    """First frame at which nearly all of `travel` is done: the end, but for a slow finish."""
    begun: int
    """First frame at which more of it is done than fingers that were pressed together give back."""


def motions_in(signal_T: Floats, times_s: Floats) -> tuple[Motion, ...]:
    """All motions of a signal whose range is about 1, in order.

    Args:
        signal_T: (T,) finite.
        times_s: (T,) ascending.
    """
    if len(signal_T) < 3:
        return ()
    step_s = frame_step_s(times_s)
    clean = without_spikes(signal_T, SPIKE_S / step_s)
    steady = smoothed(clean, MOTION_SMOOTHING_S / step_s)
    least = max(LEAST_TRAVEL, NOISE_TIMES * noise_of(steady))
    velocity = np.gradient(steady, times_s)
    found: list[Motion] = []
    for first, last in legs(steady, least):
        found += _in_leg(steady, velocity, first, last, times_s, least)
    return tuple(found)


def without_spikes(signal_T: Floats, width: float) -> Floats:
    """Median over `width` frames (rounded to an odd number, at least 3)."""
    half = max(1, int(width // 2))
    padded = np.pad(signal_T, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.asarray(np.median(windows, axis=1))


def noise_of(signal_T: Floats) -> float:
    """Standard deviation of the noise, from second differences, which motion hardly enters."""
    bends = np.abs(np.diff(signal_T, 2))
    return float(np.median(bends)) / 0.6745 / np.sqrt(6.0) if len(bends) else 0.0


def legs(signal_T: Floats, least: float) -> Iterator[tuple[int, int]]:
    """(first, last) frames between turning points that lie at least `least` apart, in order."""
    values = signal_T.tolist()
    low = high = turn = 0
    direction = 0
    for i, value in enumerate(values):
        if direction >= 0 and value > values[high]:
            high = i
        if direction <= 0 and value < values[low]:
            low = i
        if direction >= 0 and values[high] - value >= least:
            if direction > 0:
                yield turn, high
            direction, turn, low = -1, high, i
        elif direction <= 0 and value - values[low] >= least:
            if direction < 0:
                yield turn, low
            direction, turn, high = 1, low, i
    if direction:
        yield turn, high if direction > 0 else low


def _in_leg(
    steady: Floats, velocity: Floats, first: int, last: int, times_s: Floats, least: float
) -> list[Motion]:
    """The motions of one leg: it may rest half way, and begin or end with slow drift."""
    travel = steady[last] - steady[first]
    forward = velocity[first : last + 1] * np.sign(travel)
    fast = forward > max(SLOW_SHARE * float(forward.max()), SLOWEST_PER_S)
    runs = _joined(_runs(fast), times_s[first : last + 1])
    motions = []
    for start, end in runs:
        a, b = first + start, first + end
        way = float(steady[b] - steady[a])
        lasts_s = float(times_s[b] - times_s[a])
        if abs(way) >= max(0.7 * least, 0.2 * abs(travel), SLOWEST_PER_S * lasts_s):
            done = np.abs(steady[a : b + 1] - steady[a]) / abs(way)
            begun, settled = (a + int(np.argmax(done >= s)) for s in (BEGUN_SHARE, SETTLED_SHARE))
            motions.append(Motion(a, b, way, float(steady[a]), float(steady[b]), settled, begun))
    return motions


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, last) of every stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _joined(runs: list[tuple[int, int]], times_s: Floats) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and times_s[start] - times_s[joined[-1][1]] <= PAUSE_S:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
