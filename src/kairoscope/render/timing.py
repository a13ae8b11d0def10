"""From the rate at which states were recorded to the rate of the video. Pure.

State i was recorded i / recorded_fps seconds after the first, frame k of the video is shown at
k / fps. A frame shows the simulation at its own time: positions between two states are interpolated,
rotations along the shorter arc. So a frame shows an event as done from the event's time on and not
before, whatever the two rates.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ROUNDING = 1e-9
"""Frames: 3 / 30 s * 20 Hz is frame 2, not the last moment of frame 1."""


def num_frames(num_states: int, recorded_fps: float, fps: float) -> int:
    """Frames of a video that ends with the last state, or less than a frame before it."""
    return int((num_states - 1) / recorded_fps * fps + _ROUNDING) + 1


def places(num_states: int, recorded_fps: float, fps: float) -> Array:
    """(K,) for every frame of the video, which state it shows: 1.5 is halfway from 1 to 2."""
    exact = np.arange(num_frames(num_states, recorded_fps, fps)) * (recorded_fps / fps)
    whole = np.round(exact)
    return np.minimum(
        np.where(np.abs(exact - whole) < _ROUNDING * 1e3, whole, exact), num_states - 1
    )


def configurations(qpos_TQ: Array, places_K: Array, quaternions: Sequence[int]) -> Array:
    """(K, nq) positions at places between states.

    Args:
        qpos_TQ: (T, nq) recorded positions.
        places_K: (K,) from `places`.
        quaternions: first of the 4 columns of every unit quaternion.
    """
    before = np.floor(places_K).astype(np.int64)
    after = np.minimum(before + 1, len(qpos_TQ) - 1)
    share = (places_K - before)[:, None]
    first, second = qpos_TQ[before], qpos_TQ[after].copy()
    for column in quaternions:
        turn = slice(column, column + 4)
        opposite = (first[:, turn] * second[:, turn]).sum(axis=1) < 0
        second[opposite, turn] *= -1
    # Where a frame falls onto a state, that state is shown to the last bit.
    between: Array = np.where(share == 0, first, first * (1 - share) + second * share)
    for column in quaternions:
        turn = slice(column, column + 4)
        length = np.linalg.norm(between[:, turn], axis=1, keepdims=True)
        unit = between[:, turn] / np.where(length > 0, length, 1.0)
        between[:, turn] = np.where(share == 0, between[:, turn], unit)
    return between
