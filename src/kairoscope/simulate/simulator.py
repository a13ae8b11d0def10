"""The kinematic simulator: the arm follows its timeline, objects answer to contact alone.

What both pads touch moves with the hand; what a closed hand runs into is pushed; a button goes
down under the finger tips; a held handle or lever turns its joint. Contacts are MuJoCo's own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairoscope.simulate.arm import FINGER_HALF_M, JOINTS, Hand, solve
from kairoscope.simulate.motion import Timeline
from kairoscope.simulate.scene import Fixture, Moving, Scene, Thing
from kairoscope.simulate.state import Event, Reader, State

_STEP_S = 1 / 60
_MIN_GRIP_M = 0.015
"""Fingers closer together than this hold nothing: what both touch is in front of or below them."""


@dataclass(frozen=True, slots=True)
class Episode:
    """What happened: the simulator's configuration at every frame, and when the events ended."""

    qpos_TQ: NDArray[np.float64]
    end_frames: tuple[int, ...]
    """For each event, the first frame (after the event before it) at which its predicate holds."""


class Simulator:
    """One scene and its arm."""

    def __init__(self, mujoco: Any, model: Any, scene: Scene):
        self._mujoco, self.model, self.data = mujoco, model, mujoco.MjData(model)
        self._base = scene.base
        self._poses = {t.key: np.array([t.x, t.y, t.half_h, t.yaw]) for t in scene.things}
        self._things = {t.key: t for t in scene.things}
        self._moving = {f.moving.name: f for f in scene.fixtures if f.moving is not None}
        self._values = dict.fromkeys(self._moving, 0.0)
        names = (*JOINTS, "blob_x", "blob_y", *self._poses, *self._moving)
        self._address = {n: int(model.jnt_qposadr[model.joint(n).id]) for n in names}
        self.reader = make_reader(model, self.data, scene)
        self._held: str | None = None
        self._grip_m = 0.0
        self._offset = np.zeros(4)

    def step(self, hand: Hand) -> State:
        """Bring the hand to `hand` and let everything it touches answer."""
        hand = hand.copy()
        if self._held is not None:
            hand[4] = max(hand[4], self._grip_m)
            self._carry(hand)
        else:
            for key, thing in self._things.items():
                self._push(key, thing, hand)
        for name, fixture in self._moving.items():
            if fixture.moving is not None and fixture.moving.axis == (0.0, 0.0, -1.0):
                self._values[name] = _pressed(fixture, fixture.moving, hand)
        self._write(hand)
        state = observe(self._mujoco, self.model, self.data, self.reader)
        self._update_grip(hand, state)
        return state

    def _update_grip(self, hand: Hand, state: State) -> None:
        if self._held is not None and not state.held(self._held):
            self._held = None
        if self._held is not None or hand[4] < _MIN_GRIP_M:
            return
        for key in (*self._poses, *self._moving):
            if state.held(key):
                self._held, self._grip_m = key, float(hand[4])
                self._offset = self._relative(key, hand)
                return

    def _relative(self, key: str, hand: Hand) -> NDArray[np.float64]:
        if key in self._moving:
            return np.array([*hand[:3], self._values[key]])
        delta = self._poses[key] - hand[:4]
        c, s = math.cos(hand[3]), math.sin(hand[3])
        delta[:2] = c * delta[0] + s * delta[1], -s * delta[0] + c * delta[1]
        return np.asarray(delta)

    def _carry(self, hand: Hand) -> None:
        key = self._held
        assert key is not None
        if key in self._moving:
            self._values[key] = _dragged(self._moving[key], self._offset, hand)
            return
        c, s = math.cos(hand[3]), math.sin(hand[3])
        dx, dy, dz, dyaw = self._offset
        self._poses[key] = np.array(
            [hand[0] + c * dx - s * dy, hand[1] + s * dx + c * dy, hand[2] + dz, hand[3] + dyaw]
        )

    def _push(self, key: str, thing: Thing, hand: Hand) -> None:
        """Move a thing out of the way of a closed hand, along the axis of least overlap."""
        pose = self._poses[key]
        if hand[4] > 0.01 or hand[2] > pose[2] + thing.half_h:
            return
        c, s = math.cos(hand[3]), math.sin(hand[3])
        dx, dy = pose[0] - hand[0], pose[1] - hand[1]
        along = (c * dx + s * dy, -s * dx + c * dy)
        reach = (
            2 * FINGER_HALF_M[0] + hand[4] / 2 + thing.half_w,
            FINGER_HALF_M[1] + thing.half_w,
        )
        overlap = [r - abs(a) for r, a in zip(reach, along, strict=True)]
        if min(overlap) <= 0:
            return
        axis = int(np.argmin(overlap))
        shift = math.copysign(overlap[axis], along[axis])
        pose[0] += shift * (c if axis == 0 else -s)
        pose[1] += shift * (s if axis == 0 else c)

    def _write(self, hand: Hand) -> None:
        qpos, at = self.data.qpos, self._address
        for name, value in zip(JOINTS, solve(self._base, hand), strict=True):
            qpos[at[name]] = value
        qpos[at["blob_x"]], qpos[at["blob_y"]] = hand[0], hand[1]
        for key, (x, y, z, yaw) in self._poses.items():
            i = at[key]
            qpos[i : i + 7] = (x, y, z, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
        for name, value in self._values.items():
            qpos[at[name]] = value


def observe(mujoco: Any, model: Any, data: Any, reader: Reader) -> State:
    """The state that belongs to `data.qpos`."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_collision(model, data)
    return reader.read()


def make_reader(model: Any, data: Any, scene: Scene) -> Reader:
    """A reader of everything that a predicate on `scene` can ask for."""
    bodies = [t.key for t in scene.things] + [f.name for f in scene.fixtures]
    joints = [f.moving.name for f in scene.fixtures if f.moving is not None]
    return Reader(model, data, bodies=bodies, joints=joints)


def simulate(
    sim: Simulator, timeline: Timeline, events: Sequence[Event], *, fps: float, tail_s: float
) -> Episode | None:
    """Run until `tail_s` after the last event; None when an event never happens.

    Between frames the simulator takes steps of at most 1/60 s, so that fast motion is not missed.
    """
    per_frame = max(1, math.ceil(1 / (fps * _STEP_S) - 1e-9))
    limit = int((timeline.duration_s + tail_s) * fps) + 2
    qpos, ends = [], list[int]()
    tail = round(tail_s * fps)
    for frame in range(limit):
        for sub in range(per_frame if frame else 1):
            step = frame * per_frame - (per_frame - 1 - sub if frame else 0)
            state = sim.step(timeline.at(step / (per_frame * fps)))
        qpos.append(sim.data.qpos.copy())
        if len(ends) < len(events) and events[len(ends)].until.holds(state):
            ends.append(frame)
        if len(ends) == len(events) and frame >= ends[-1] + tail:
            return Episode(np.array(qpos), tuple(ends))
    return None


def _pressed(fixture: Fixture, part: Moving, hand: Hand) -> float:
    """How far the finger tips hold a button down, metres."""
    away = math.hypot(hand[0] - fixture.x, hand[1] - fixture.y)
    top = part.pos[2] + part.geoms[0].size[1]
    if away > part.geoms[0].size[0]:
        return 0.0
    return min(max(top - float(hand[2]), 0.0), part.travel)


def _dragged(fixture: Fixture, start: NDArray[np.float64], hand: Hand) -> float:
    """The joint value of a held handle, given where the hand took hold of it."""
    part = fixture.moving
    assert part is not None
    c, s = math.cos(fixture.yaw), math.sin(fixture.yaw)
    dx, dy, dz = hand[:3] - start[:3]
    local = (c * dx + s * dy, -s * dx + c * dy, dz)
    if part.joint == "slide":
        value = start[3] + sum(a * d for a, d in zip(part.axis, local, strict=True))
    else:
        radius = part.geoms[0].pos[2]
        forward = radius * math.sin(start[3]) - local[1]
        value = math.atan2(forward, radius * math.cos(start[3]) + local[2])
    return float(min(max(value, 0.0), part.travel))
