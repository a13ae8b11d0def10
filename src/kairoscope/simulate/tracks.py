"""What the simulator knows at every frame beyond the events: where the hand is, what it does.

Written beside the labels as `tracks.jsonl`, one row a clip: quantities between 0 and 1 at every
frame. Training can ask the video positions themselves for them (see docs/training.md).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairoscope.simulate.arm import MAX_OPENING_M, WRIST_TO_TIP_M
from kairoscope.simulate.scene import Look
from kairoscope.simulate.simulator import observe

HIGHEST_M = 0.3


def hand_tracks(mujoco: Any, take: Any) -> dict[str, list[float]]:
    """Tracks of one simulated clip, each a list with one value from 0 to 1 a frame.

    `hand_column` and `hand_row` say where the finger tips are in the picture (from the left, from
    the top), `hand_height` how high they are above the table, `opening` how far apart the fingers
    are, and `holding` whether both touch something (1) or not (0).
    """
    model, data, look = take.model, take.data, take.look
    address = [int(model.jnt_qposadr[model.joint(n).id]) for n in ("finger_left", "finger_right")]
    hand = model.body("hand").id
    names = ("hand_column", "hand_row", "hand_height", "opening", "holding")
    tracks: dict[str, list[float]] = {name: [] for name in names}
    for qpos in take.episode.qpos_TQ:
        data.qpos[:] = qpos
        state = observe(mujoco, model, data, take.reader)
        tip = data.xpos[hand] - np.array([0.0, 0.0, WRIST_TO_TIP_M])
        column, row = _project(look, tip)
        opening = sum(float(qpos[i]) for i in address)
        held = any(a == "pad_left" and state.held(b) for a, b in state.contacts)
        for name, value in zip(
            names,
            (column, row, tip[2] / HIGHEST_M, opening / MAX_OPENING_M, float(held)),
            strict=True,
        ):
            tracks[name].append(round(min(max(float(value), 0.0), 1.0), 3))
    return tracks


def _project(look: Look, point: NDArray[np.float64]) -> tuple[float, float]:
    """Column and row of a point in the picture, 0 to 1 from the left and from the top."""
    azimuth, elevation = np.radians(90.0 + look.azimuth_deg), np.radians(-look.elevation_deg)
    half = np.tan(np.radians(look.fovy_deg) / 2)
    forward = np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    eye = np.array(look.target) - forward * (look.view_width_m / 2 / half)
    ray = point - eye
    depth = float(ray @ forward) * half
    return 0.5 + float(ray @ right) / depth / 2, 0.5 - float(ray @ up) / depth / 2
