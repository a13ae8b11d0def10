"""Scripted demonstrations, with the simulator's own poses as eyes. Run where MimicGen can be imported."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.spatial.transform import Rotation  # type: ignore

from benchmarks.mimicgen.arm import Arm, Floats, Policy, turned_to

UP = np.array([0.0, 0.0, 1.0])
QUARTER, HALF = np.pi / 2, np.pi


def reach(arm: Arm, grip: Callable[[], tuple[Floats, Rotation]], fold_rad: float) -> None:
    """Go over a thing, down to it and close the hand; where the style says so, miss it first.

    Args:
        arm: with an open hand.
        grip: where on the thing the fingers go: position and rotation.
        fold_rad: as `turned_to` takes it.
    """
    position, thing = grip()
    facing = turned_to(arm.pose()[1], thing, fold_rad)
    arm.move(position + arm.hover_m() * UP, facing)
    arm.pause()
    position, thing = grip()  # things fall onto the table while the hand is on its way
    if arm.style.misses:
        # Over the thing, where there is nothing between the fingers.
        arm.move(position + 0.06 * UP, facing, pace=0.7, fine=True)
        arm.close()
        arm.pause()
        arm.open()
        arm.move(position + arm.hover_m() * UP, facing, pace=0.8)
    aside = arm.rng.normal(scale=0.002, size=3) * (1.0, 1.0, 0.5)
    arm.move(position + aside, facing, pace=0.6, fine=True)
    arm.pause()
    arm.close()


def carry(arm: Arm, thing: str, position: Floats, rotation: Rotation, *, pace: float) -> None:
    """Lead the hand so that what it holds comes to `position` with `rotation`."""
    hand, hand_turned = arm.pose()
    held, held_turned = arm.body(thing)
    offset = held_turned.inv().apply(hand - held)
    turned_in_hand = held_turned.inv() * hand_turned
    arm.move(position + rotation.apply(offset), rotation * turned_in_hand, pace=pace, fine=True)


def stack_on(arm: Arm, cube: str, below: str, height_m: float) -> None:
    """Pick a cube and put it on another, whose middle is then `height_m` below its own."""
    reach(arm, lambda: arm.body(cube), QUARTER)
    arm.pause()
    hand, turned = arm.pose()
    base, base_turned = arm.body(below)
    travel_m = max(arm.hover_m(), base[2] + height_m + 0.05 - hand[2])
    arm.move(hand + travel_m * UP, turned)
    target = base + height_m * UP
    upright = turned_to(arm.body(cube)[1], base_turned, QUARTER)
    carry(arm, cube, target + 0.05 * UP, upright, pace=1.0)
    arm.pause()
    carry(arm, cube, target + 0.003 * UP, upright, pace=0.5)
    arm.pause()
    arm.open()
    hand, turned = arm.pose()
    arm.move(hand + arm.hover_m() * UP, turned)


def stack(arm: Arm) -> None:
    """The red cube onto the green one."""
    stack_on(arm, "cubeA_main", "cubeB_main", 0.045)


def stack_three(arm: Arm) -> None:
    """The red cube onto the green one, the blue one onto the red one."""
    stack_on(arm, "cubeA_main", "cubeB_main", 0.045)
    stack_on(arm, "cubeC_main", "cubeA_main", 0.040)


def square(arm: Arm) -> None:
    """The square nut, held by its handle, onto its peg."""
    base = arm.env.base_env
    nut = base.nuts[base.nut_to_id["square"]]
    name = nut.root_body

    def handle() -> tuple[Floats, Rotation]:
        site = base.sim.model.site_name2id(nut.important_sites["handle"])
        return base.sim.data.site_xpos[site].copy(), arm.body(name)[1]

    reach(arm, handle, HALF)
    arm.pause()
    hand, turned = arm.pose()
    arm.move(hand + (0.15 + arm.hover_m()) * UP, turned)
    peg, peg_turned = arm.body("peg1")
    top_m = peg[2] + 0.10
    upright = turned_to(_flat(arm.body(name)[1]), peg_turned, QUARTER)
    above = np.array([peg[0], peg[1], top_m + 0.05])
    carry(arm, name, above, upright, pace=1.0)
    arm.pause()
    # Once more, slowly: what slipped in the hand on the way is made good over the peg.
    carry(arm, name, above - 0.03 * UP, upright, pace=0.4)
    carry(arm, name, above - 0.12 * UP, upright, pace=0.4)
    arm.pause()
    arm.open()
    hand, turned = arm.pose()
    arm.move(hand + arm.hover_m() * UP, turned)


def _flat(rotation: Rotation) -> Rotation:
    """The same turn about the vertical, upright."""
    x_axis = rotation.as_matrix()[:, 0]
    return Rotation.from_rotvec([0.0, 0.0, np.arctan2(x_axis[1], x_axis[0])])


def wander(arm: Arm) -> None:
    """Move about over the table for a few seconds: recordings of tasks without a policy."""
    start, turned = arm.pose()
    for _ in range(4):
        goal = start + arm.rng.uniform((-0.1, -0.15, -0.12), (0.1, 0.15, 0.05))
        arm.move(goal, Rotation.from_rotvec([0.0, 0.0, arm.rng.uniform(-0.6, 0.6)]) * turned)
        if arm.gripper > 0:
            arm.open()
        else:
            arm.close()


POLICIES: Mapping[str, Policy] = {"stack": stack, "stack_three": stack_three, "square": square}
