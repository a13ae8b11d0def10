"""An arm that follows set points through MimicGen's environment interface and records every step.

Runs where MimicGen can be imported.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation  # type: ignore

Floats = NDArray[np.float64]
OPEN, CLOSED = -1.0, 1.0
"""Gripper commands of robosuite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How somebody moves: drawn anew for every demonstration."""

    speed_m: float
    """Largest way of the set point in a step of 0.05 s."""
    turn_rad: float
    """Largest turn of the set point in a step."""
    wobble_m: float
    """Standard deviation of the slow wander of the hand on its way, out of reach of things."""
    pause_steps: tuple[int, int]
    """Least and greatest stop before and after the hand does something."""
    hover_m: tuple[float, float]
    """Height over things at which the hand travels."""
    misses: bool
    """Whether the first grasp closes on nothing."""


def drawn_style(rng: np.random.Generator) -> Style:
    """A slow or quick, smooth or shaky, hasty or hesitant somebody; one in five misses at first."""
    low = int(rng.integers(0, 4))
    return Style(
        speed_m=float(rng.uniform(0.013, 0.028)),
        turn_rad=float(rng.uniform(0.06, 0.13)),
        wobble_m=float(rng.uniform(0.0, 0.004)),
        pause_steps=(low, low + int(rng.integers(1, 12))),
        hover_m=(0.07, float(rng.uniform(0.09, 0.15))),
        misses=bool(rng.random() < 0.2),
    )


@dataclass
class Arm:
    """The hand of a robot in a robomimic environment, and what it has done so far."""

    env: Any
    """`robomimic.envs.env_robosuite.EnvRobosuite`."""
    interface: Any
    """MimicGen's interface of `env.base_env`."""
    rng: np.random.Generator
    style: Style
    gripper: float = OPEN
    states: list[Floats] = field(default_factory=list)
    actions: list[Floats] = field(default_factory=list)
    observations: list[dict[str, Any]] = field(default_factory=list)
    _position: Floats = field(init=False)
    _rotation: Rotation = field(init=False)
    _wander: Floats = field(default_factory=lambda: np.zeros(3))
    _seen: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = self.env.get_observation()
        self._position, self._rotation = self.pose()

    def pose(self) -> tuple[Floats, Rotation]:
        """Where the hand is: position in m and rotation, in the world."""
        matrix = self.interface.get_robot_eef_pose()
        return matrix[:3, 3].copy(), Rotation.from_matrix(matrix[:3, :3])

    def body(self, name: str) -> tuple[Floats, Rotation]:
        """Where a body of the simulation is."""
        matrix = self.interface.get_object_pose(obj_name=name, obj_type="body")
        return matrix[:3, 3].copy(), Rotation.from_matrix(matrix[:3, :3])

    def _step(self) -> None:
        matrix = np.eye(4)
        matrix[:3, 3] = self._position + self._wander
        matrix[:3, :3] = self._rotation.as_matrix()
        motion = self.interface.target_pose_to_action(target_pose=matrix)
        action = np.concatenate([motion, [self.gripper]])
        self.states.append(np.array(self.env.base_env.sim.get_state().flatten()))
        self.observations.append(self._seen)
        self.actions.append(action)
        self._seen = self.env.step(action)[0]

    def move(
        self, position: Floats, rotation: Rotation, *, pace: float = 1.0, fine: bool = False
    ) -> None:
        """Lead the hand there on a straight line, starting and stopping softly, and let it settle.

        Args:
            position: in m.
            rotation: of the hand.
            pace: times the style's speed.
            fine: do not wander, and wait until the hand is there.
        """
        start, start_rotation = self._position, self._rotation
        turn = (rotation * start_rotation.inv()).as_rotvec()
        way = float(np.linalg.norm(position - start))
        # A soft start and stop peaks at 1.5 times the mean speed.
        steps = 1.5 * max(
            way / (self.style.speed_m * pace), float(np.linalg.norm(turn)) / self.style.turn_rad
        )
        count = max(1, int(np.ceil(steps)))
        for number in range(1, count + 1):
            u = number / count
            soft = u * u * (3.0 - 2.0 * u)
            self._position = start + soft * (position - start)
            self._rotation = Rotation.from_rotvec(soft * turn) * start_rotation
            self._wandered(still=fine)
            self._step()
        for _ in range(25 if fine else 3):
            here, turned = self.pose()
            off_rad = (self._rotation * turned.inv()).magnitude()
            if np.linalg.norm(here - self._position) < 0.003 and off_rad < 0.03:
                break
            self._wandered(still=fine)
            self._step()

    def _wandered(self, *, still: bool) -> None:
        kick = 0.0 if still else self.style.wobble_m * 0.44
        self._wander = 0.9 * self._wander + kick * self.rng.normal(size=3)

    def wait(self, steps: int) -> None:
        """Stand still."""
        for _ in range(steps):
            self._wander = 0.9 * self._wander
            self._step()

    def pause(self) -> None:
        """Stand still as somebody of this style does."""
        low, high = self.style.pause_steps
        self.wait(int(self.rng.integers(low, high + 1)))

    def close(self) -> None:
        """Close the hand, and let it."""
        self.gripper = CLOSED
        self.wait(int(self.rng.integers(8, 13)))

    def open(self) -> None:
        """Open the hand, and let it."""
        self.gripper = OPEN
        self.wait(int(self.rng.integers(5, 9)))

    def hover_m(self) -> float:
        """A height to travel at."""
        return float(self.rng.uniform(*self.style.hover_m))


def turned_to(hand: Rotation, thing: Rotation, fold_rad: float) -> Rotation:
    """The hand's rotation about the vertical whose x axis is nearest to one of the thing's.

    Args:
        hand: now.
        thing: what is grasped.
        fold_rad: turns of the thing by this much make no difference to the fingers.
    """
    difference = yaw(thing) - yaw(hand)
    nearest = (difference + fold_rad / 2) % fold_rad - fold_rad / 2
    return Rotation.from_rotvec([0.0, 0.0, nearest]) * hand


def yaw(rotation: Rotation) -> float:
    """Angle of the x axis about the vertical, in rad."""
    x_axis = rotation.as_matrix()[:, 0]
    return float(np.arctan2(x_axis[1], x_axis[0]))


Policy = Callable[[Arm], None]
"""Does the task once; whether it succeeded is for the environment to say."""
