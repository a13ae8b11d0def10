"""The robot arm: a base, two links, a wrist and a parallel gripper that always points down.

A hand state is `(x, y, z, yaw, opening)`: the point midway between the finger tips (metres, table
top at z = 0), the direction along which the fingers open (radians about z) and the distance
between the two inner finger faces (metres).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Hand = NDArray[np.float64]
"""`(5,)`: x, y, z, yaw, opening; see the module's docstring."""

SHOULDER_Z_M: Final = 0.24
LINK_M: Final = 0.40
WRIST_TO_TIP_M: Final = 0.225
FINGER_HALF_M: Final = (0.012, 0.016, 0.058)
MAX_OPENING_M: Final = 0.13
JOINTS: Final = ("base", "shoulder", "elbow", "wrist", "twist", "finger_left", "finger_right")


@dataclass(frozen=True, slots=True)
class Base:
    """Where the arm stands on the table, metres."""

    x: float
    y: float


def solve(base: Base, hand: Hand) -> tuple[float, ...]:
    """Joint values `(7,)` in the order of `JOINTS` that bring the hand to `hand` (exact, elbow up).

    A target beyond the reach is approached with a straight arm.
    """
    x, y, z, yaw, opening = (float(value) for value in hand)
    turn = math.atan2(y - base.y, x - base.x)
    radius = math.hypot(x - base.x, y - base.y)
    height = z + WRIST_TO_TIP_M - SHOULDER_Z_M
    reach = min(math.hypot(radius, height), 2 * LINK_M)
    upper = math.atan2(height, radius) + math.acos(reach / (2 * LINK_M))
    fore = math.atan2(
        height - LINK_M * math.sin(upper),
        radius - LINK_M * math.cos(upper),
    )
    return turn, -upper, upper - fore, fore, yaw - turn, opening / 2, opening / 2


def arm_xml(base: Base, arm_rgba: str, joint_rgba: str, finger_rgba: str) -> str:
    """MJCF of the arm. Only the fingers collide, and only with what can be held or touched."""
    link = LINK_M
    fx, fy, fz = FINGER_HALF_M
    finger = f'type="box" size="{fx} {fy} {fz}" rgba="{finger_rgba}" contype="1" conaffinity="0"'
    drop = -WRIST_TO_TIP_M + fz
    return f"""
<body name="arm" pos="{base.x} {base.y} 0">
 <geom class="look" type="cylinder" size=".07 .09" pos="0 0 .09" rgba="{arm_rgba}"/>
 <body pos="0 0 {SHOULDER_Z_M}"><joint name="base" axis="0 0 1"/>
  <joint name="shoulder" axis="0 1 0"/>
  <geom class="look" type="capsule" fromto="0 0 0 {link} 0 0" size=".04" rgba="{arm_rgba}"/>
  <body pos="{link} 0 0"><joint name="elbow" axis="0 1 0"/>
   <geom class="look" type="sphere" size=".044" rgba="{joint_rgba}"/>
   <geom class="look" type="capsule" fromto="0 0 0 {link} 0 0" size=".03" rgba="{arm_rgba}"/>
   <body name="hand" pos="{link} 0 0"><joint name="wrist" axis="0 1 0"/>
    <joint name="twist" axis="0 0 1"/>
    <geom class="look" type="cylinder" size=".026 .05" pos="0 0 -.045" rgba="{joint_rgba}"/>
    <geom class="look" type="box" size=".09 .022 .014" pos="0 0 {drop + fz + 0.012}"
     rgba="{arm_rgba}"/>
    <body name="pad_left" pos="{-fx} 0 {drop}">
     <joint name="finger_left" type="slide" axis="-1 0 0"/><geom name="pad_left" {finger}/></body>
    <body name="pad_right" pos="{fx} 0 {drop}">
     <joint name="finger_right" type="slide" axis="1 0 0"/><geom name="pad_right" {finger}/></body>
   </body>
  </body>
 </body>
</body>"""
