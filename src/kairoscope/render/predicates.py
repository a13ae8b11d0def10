"""When is a subtask done? The predicates of robosuite's and MimicGen's tasks, on plain MuJoCo.

Each is stated here as MimicGen's environment interfaces define the termination signal of the same
name (github.com/NVlabs/mimicgen, `mimicgen/env_interfaces/robosuite.py`, and `_check_success` of the
environments): grasped is what both finger pads touch, other ends are places of bodies and contacts.
They are read from the contacts and positions of one recorded state, without a step of simulation.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairoscope.robot.episode import UnreadableEpisode

Mask = NDArray[np.bool_]
"""(ngeom,) which geometries belong to something."""
Predicate = Callable[["Now"], bool]

_PADS = (
    (r"finger1_pad_collision", r"finger2_pad_collision"),  # Panda
    (r"left_fingerpad_collision", r"right_fingerpad_collision"),  # Robotiq 85 and 140
    (r"l_fingerpad_g0", r"r_fingerpad_g0"),  # Rethink (Sawyer, Baxter)
    (r"(?:index|pinky)_pad_collision", r"thumb_pad_collision"),  # Jaco
    (r"f[12]_pad_collision", r"finger_middle_pad_collision"),  # Robotiq with three fingers
)
"""Names of the geometries on the two sides of robosuite's grippers, behind the gripper's own name."""
_GRIPPER = r"gripper\d+_(?:right_|left_)?"


@dataclass(frozen=True, slots=True)
class Now:
    """A simulation whose positions and contacts are up to date."""

    model: Any
    data: Any

    def touch(self, some: Mask, others: Mask) -> bool:
        """Whether one of some geometries is in contact with one of the others."""
        pairs = self.data.contact.geom[: self.data.ncon]
        if not len(pairs):
            return False
        one, two = pairs[:, 0], pairs[:, 1]
        return bool(((some[one] & others[two]) | (others[one] & some[two])).any())


class Scene:
    """Looks up in a model what predicates speak of. Raises UnreadableEpisode for what is not there."""

    def __init__(self, mujoco: Any, model: Any, where: str):
        self._mujoco = mujoco
        self.model = model
        self._where = where

    def body(self, name: str) -> int:
        """The number of a body by the name of its object: robosuite adds `_main` or `_root`."""
        kind = self._mujoco.mjtObj.mjOBJ_BODY
        for suffix in ("_main", "_root", ""):
            number = int(self._mujoco.mj_name2id(self.model, kind, name + suffix))
            if number >= 0:
                return number
        raise UnreadableEpisode(f"{self._where}: its model has no body {name!r}")

    def site(self, pattern: str) -> int:
        """The number of the first site of that name."""
        for number in range(self.model.nsite):
            if re.fullmatch(pattern, self.model.site(number).name):
                return number
        raise UnreadableEpisode(f"{self._where}: its model has no site {pattern!r}")

    def geometries(self, name: str) -> Mask:
        """Those of an object: of its body and of everything that hangs on it."""
        below = np.zeros(self.model.nbody, bool)
        below[self.body(name)] = True
        for number in range(1, self.model.nbody):  # a parent comes before its children
            below[number] |= below[self.model.body_parentid[number]]
        mask: Mask = below[self.model.geom_bodyid]
        return mask

    def pads(self) -> tuple[Mask, Mask]:
        """The pads of the two sides of the gripper."""
        names = [self.model.geom(number).name for number in range(self.model.ngeom)]
        for sides in _PADS:
            first, second = (self._named(names, _GRIPPER + side) for side in sides)
            if first.any() and second.any():
                return first, second
        raise UnreadableEpisode(f"{self._where}: its gripper is none of robosuite's with pads")

    @staticmethod
    def _named(names: Iterable[str], pattern: str) -> Mask:
        return np.array([re.fullmatch(pattern, name) is not None for name in names], bool)


def grasped(scene: Scene, thing: str) -> Predicate:
    """Both pads of the gripper touch it."""
    first, second = scene.pads()
    geometries = scene.geometries(thing)
    return lambda now: now.touch(first, geometries) and now.touch(second, geometries)


def stacked(scene: Scene, thing: str, below: str, *, lifted_m: float) -> Predicate:
    """It is above the table, touches what it is to lie on, and is not grasped."""
    held = grasped(scene, thing)
    body, table = scene.body(thing), scene.site("table_top")
    one, other = scene.geometries(thing), scene.geometries(below)

    def check(now: Now) -> bool:
        height_m = now.data.xpos[body][2] - now.data.site_xpos[table][2]
        return bool(height_m > lifted_m) and now.touch(one, other) and not held(now)

    return check


def on_peg(scene: Scene, nut: str, peg: str) -> Predicate:
    """The nut is around the peg, low, and the hand (its grip site) has gone from its middle."""
    body, post = scene.body(nut), scene.body(peg)
    hand, table = scene.site(_GRIPPER + "grip_site"), scene.site("table_top")

    def check(now: Now) -> bool:
        place, goal = now.data.xpos[body], now.data.xpos[post]
        distance_m = float(np.linalg.norm(now.data.site_xpos[hand] - place))
        return (
            abs(place[0] - goal[0]) < 0.03
            and abs(place[1] - goal[1]) < 0.03
            and place[2] < now.data.site_xpos[table][2] + 0.05
            and 1 - math.tanh(10.0 * distance_m) < 0.6
        )

    return check


def placed(scene: Scene, piece: str, base: str, *, within_m: float) -> Predicate:
    """The piece is above the middle of the base, and not grasped."""
    held = grasped(scene, piece)
    body, goal = scene.body(piece), scene.body(base)

    def check(now: Now) -> bool:
        away = now.data.xpos[body][:2] - now.data.xpos[goal][:2]
        return bool(np.linalg.norm(away) < within_m) and not held(now)

    return check


PREDICATES: Mapping[str, Callable[[Scene], dict[str, Predicate]]] = {
    "stack": lambda s: {"grasp": grasped(s, "cubeA")},
    "stack_three": lambda s: {
        "grasp_1": grasped(s, "cubeA"),
        "stack_1": stacked(s, "cubeA", "cubeB", lifted_m=0.04),
        "grasp_2": grasped(s, "cubeC"),
    },
    "square": lambda s: {"grasp": grasped(s, "SquareNut")},
    "nut_assembly": lambda s: {
        "grasp_square_nut": grasped(s, "SquareNut"),
        "insert_square_nut": on_peg(s, "SquareNut", "peg1"),
        "grasp_round_nut": grasped(s, "RoundNut"),
    },
    "coffee": lambda s: {"grasp": grasped(s, "coffee_pod")},
    "threading": lambda s: {"grasp": grasped(s, "needle_obj")},
    "three_piece_assembly": lambda s: {
        "grasp_1": grasped(s, "piece_1"),
        "insert_1": placed(s, "piece_1", "base", within_m=0.02),
        "grasp_2": grasped(s, "piece_2"),
    },
}
"""Task, as `kairoscope.robot.legality.SPECS` names it -> its signals. The recipe's six, and three
cubes."""


def signals(
    mujoco: Any, model: Any, qpos_TQ: NDArray[np.float64], task: str, where: str
) -> dict[str, NDArray[np.float64]]:
    """What every signal of a task is at every recorded state: (T,) of 0 and 1.

    Args:
        mujoco: the module.
        model: compiled, as recorded.
        qpos_TQ: (T, nq) recorded positions.
        task: one of `PREDICATES`.
        where: file and demonstration, for messages.

    Raises UnreadableEpisode where the model lacks something that the task has.
    """
    predicates = PREDICATES[task](Scene(mujoco, model, where))
    data = mujoco.MjData(model)
    now = Now(model, data)
    found = {name: np.zeros(len(qpos_TQ)) for name in predicates}
    for frame, qpos in enumerate(qpos_TQ):
        data.qpos[:] = qpos
        mujoco.mj_fwdPosition(model, data)
        for name, predicate in predicates.items():
            found[name][frame] = predicate(now)
    return found
