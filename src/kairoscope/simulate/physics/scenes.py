"""From a seed to a scene: what is there, how it moves, what goes wrong and when. Pure.

A scene is drawn once for a group of five clips, which differ in nothing but the amount of one violation:
the same things, colours, length and first frame. So nothing but the motion tells the score.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from kairoscope.simulate.physics.motion import FLOOR, GRAVITY, Body, World
from kairoscope.simulate.physics.violations import FAMILIES, VIOLATIONS, Kind, violation

NUM_COLOURS: Final = 8
SPOUT_S: Final = 0.05
"""Time between two drops of what is poured."""
NUM_DROPS: Final = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Something that only stands there: left, bottom, right, top, and whether it is a cup or a jug."""

    left: float
    bottom: float
    right: float
    top: float
    kind: str = "post"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the five clips of a group share."""

    family: str
    kind: Kind
    duration_s: float
    num_frames: int
    build: Callable[[int], World]
    """Score -> a fresh world."""
    boxes: tuple[Box, ...] = ()
    look: int = 0
    """Seed of background and colours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    bodies: Callable[[], list[Body]]
    target: int
    begins_s: float
    impact_s: float
    """When the first impact is due: the clip goes on for a while after it."""
    boxes: tuple[Box, ...] = ()
    pair: tuple[int, int] | None = None
    many: bool = False
    jumps: tuple[int, ...] = (0, 180, 30, 150, 60, 120, 90)
    """Angles in degrees, from the right to above, at which a thing may jump."""


def draw_scene(seed: int, group: int, fps: float) -> Scene:
    """The scene of a group. Families take turns, and in each family the kinds of violation."""
    rng = np.random.default_rng([seed, group])
    names = list(FAMILIES)
    family = names[group % len(names)]
    kinds = FAMILIES[family]
    kind = kinds[(group // len(names)) % len(kinds)]
    plan = _PLANS[family](rng, kind)
    share, sign = float(rng.uniform()), int(rng.choice((-1, 1)))
    tail_s = float(rng.uniform(0.9, 1.4))
    duration_s = max(plan.impact_s, plan.begins_s) + tail_s
    num_frames = round(duration_s * fps)
    jump = _jump(plan, rng)

    def build(score: int) -> World:
        return World(
            bodies=plan.bodies(),
            target=plan.target,
            wrong=violation(kind, score, share, sign),
            begins_s=plan.begins_s,
            pair=plan.pair,
            many=plan.many,
            jump=jump,
        )

    return Scene(
        family=family,
        kind=kind,
        duration_s=num_frames / fps,
        num_frames=num_frames,
        build=build,
        boxes=plan.boxes,
        look=int(rng.integers(2**31)),
    )


def _jump(plan: _Plan, rng: np.random.Generator) -> tuple[float, float]:
    """A direction in which the longest jump stays in the picture."""
    world = World(
        bodies=plan.bodies(), target=plan.target, wrong=None, begins_s=9e9, pair=plan.pair
    )
    frames = world.frames(round(plan.begins_s * 30) + 1, 30.0)
    body = frames[-1][plan.target]
    longest = VIOLATIONS["teleport"].bands[-1][1] * 2 * body.half

    def room(angle: float) -> float:
        x = body.x + longest * math.cos(math.radians(angle))
        y = body.y + longest * math.sin(math.radians(angle))
        return min(x - body.half, 1 - x - body.half, 1 - y - body.half)

    good = [angle for angle in plan.jumps if room(angle) >= 0] or [max(plan.jumps, key=room)]
    chosen = math.radians(float(rng.choice(good)))
    return math.cos(chosen), math.sin(chosen)


def _fall_s(height: float) -> float:
    return math.sqrt(2 * height / GRAVITY)


def _colours(rng: np.random.Generator, number: int) -> list[int]:
    return [int(c) for c in rng.permutation(NUM_COLOURS)[:number]]


def _fall(rng: np.random.Generator, _: Kind) -> _Plan:
    half = float(rng.uniform(0.06, 0.09))
    drop = float(rng.uniform(0.42, 0.62))
    x, vx = float(rng.uniform(0.35, 0.65)), float(rng.uniform(-0.06, 0.06))
    released_s = float(rng.uniform(0.15, 0.45))
    [colour] = _colours(rng, 1)
    is_ball = bool(rng.integers(2))

    def bodies() -> list[Body]:
        return [
            Body(
                x=x,
                y=FLOOR + half + drop,
                vx=vx,
                half=half,
                colour=colour,
                is_ball=is_ball,
                bounce=0.35,
                friction=0.4,
                released_s=released_s,
            )
        ]

    fall_s = _fall_s(drop)
    begins_s = released_s + fall_s * float(rng.uniform(0.35, 0.6))
    return _Plan(bodies=bodies, target=0, begins_s=begins_s, impact_s=released_s + fall_s)


def _bounce(rng: np.random.Generator, _: Kind) -> _Plan:
    half = float(rng.uniform(0.06, 0.085))
    drop = float(rng.uniform(0.3, 0.45))
    side = int(rng.choice((-1, 1)))
    speed = float(rng.uniform(0.1, 0.18))
    [colour] = _colours(rng, 1)

    def bodies() -> list[Body]:
        return [
            Body(
                x=0.5 - side * 0.28,
                y=FLOOR + half + drop,
                half=half,
                colour=colour,
                vx=side * speed,
                bounce=0.82,
                friction=0.05,
            )
        ]

    fall_s = _fall_s(drop)
    begins_s = fall_s * float(rng.uniform(1.3, 1.7))
    return _Plan(bodies=bodies, target=0, begins_s=begins_s, impact_s=fall_s)


def _slide(rng: np.random.Generator, _: Kind) -> _Plan:
    half = float(rng.uniform(0.06, 0.085))
    speed = float(rng.uniform(0.3, 0.4))
    wall = float(rng.uniform(0.68, 0.76))
    is_ball = False
    start = float(rng.uniform(0.12, 0.18))
    [colour] = _colours(rng, 1)

    def bodies() -> list[Body]:
        return [
            Body(
                x=start,
                y=FLOOR + half,
                half=half,
                colour=colour,
                is_ball=is_ball,
                vx=speed,
                start_speed=speed,
                friction=0.05,
                wall=wall,
            )
        ]

    path = wall - half - start
    drag = 0.05 * GRAVITY
    impact_s = (speed - math.sqrt(max(0.0, speed**2 - 2 * drag * path))) / drag
    post = Box(left=wall, bottom=FLOOR, right=wall + 0.07, top=FLOOR + 0.26)
    begins_s = impact_s * float(rng.uniform(0.35, 0.5))
    return _Plan(
        bodies=bodies,
        target=0,
        begins_s=begins_s,
        impact_s=impact_s,
        boxes=(post,),
        jumps=(90, 120, 150),  # the wall would stop one to the right
    )


def _collide(rng: np.random.Generator, kind: Kind) -> _Plan:
    half = float(rng.uniform(0.06, 0.08))
    speed = float(rng.uniform(0.38, 0.5))
    first, second = _colours(rng, 2)
    start, middle = float(rng.uniform(0.1, 0.16)), float(rng.uniform(0.46, 0.54))

    def bodies() -> list[Body]:
        common = {"y": FLOOR + half, "half": half, "friction": 0.02}
        return [
            Body(x=start, vx=speed, colour=first, bounce=0.9, **common),  # type: ignore[arg-type]
            Body(x=middle, colour=second, bounce=0.9, **common),  # type: ignore[arg-type]
        ]

    impact_s = (middle - start - 2 * half) / speed
    target = 0 if kind in ("penetration", "no_reaction", "energy") else 1
    begins_s = impact_s + 0.25
    return _Plan(bodies=bodies, target=target, begins_s=begins_s, impact_s=impact_s, pair=(0, 1))


def _pour(rng: np.random.Generator, kind: Kind) -> _Plan:
    lip_x, lip_y = float(rng.uniform(0.22, 0.3)), float(rng.uniform(0.66, 0.74))
    speed = float(rng.uniform(0.16, 0.22))
    half, drop_half = 0.08, 0.026
    first, second = _colours(rng, 2)
    inside = FLOOR + 0.03
    fall_s = _fall_s(lip_y - inside)
    cup_x = lip_x + speed * fall_s
    begins_s = 0.3 + fall_s * 0.6 + 0.2

    def bodies() -> list[Body]:
        cup = Body(x=cup_x, y=FLOOR + half, half=half, colour=first, pinned=True)
        drops = [
            Body(
                x=lip_x,
                y=lip_y,
                half=drop_half,
                colour=second,
                vx=speed + 0.03 * math.sin(5.0 * i),
                bounce=0.05,
                friction=3.0,
                ground=inside + 0.036 * (i // 5),
                cup=(cup_x - half + 0.02, cup_x + half - 0.02, FLOOR + 2 * half),
                released_s=0.3 + SPOUT_S * i,
            )
            for i in range(NUM_DROPS)
        ]
        return [cup, *drops]

    jug = Box(left=lip_x - 0.2, bottom=lip_y - 0.05, right=lip_x, top=lip_y + 0.15, kind="jug")
    return _Plan(
        bodies=bodies,
        target=0,
        begins_s=begins_s,
        impact_s=0.3 + fall_s + SPOUT_S * NUM_DROPS * 0.5,
        boxes=(jug,),
        many=kind in ("gravity", "energy"),
        jumps=(0, 180),
    )


def _stack(rng: np.random.Generator, kind: Kind) -> _Plan:
    half = float(rng.uniform(0.065, 0.08))
    x = float(rng.uniform(0.4, 0.6))
    drop = float(rng.uniform(0.16, 0.26))
    released_s = float(rng.uniform(0.25, 0.5))
    colours = _colours(rng, 3)
    offsets = [0.0, *(float(rng.uniform(-0.02, 0.02)) for _ in range(2))]

    def bodies() -> list[Body]:
        made = []
        for i in range(3):
            level = FLOOR + 2 * half * i
            made.append(
                Body(
                    x=x + offsets[i],
                    y=level + half + (drop if i == 2 else 0.0),
                    half=half,
                    colour=colours[i],
                    is_ball=False,
                    ground=level,
                    bounce=0.15,
                    friction=0.5,
                    released_s=released_s if i == 2 else 0.0,
                )
            )
        return made

    impact_s = released_s + _fall_s(drop)
    target = {"gravity": 0, "teleport": 2, "shape": int(rng.integers(3))}.get(kind, 2)
    return _Plan(
        bodies=bodies,
        target=target,
        begins_s=impact_s + 0.35,
        impact_s=impact_s + 0.3,
        many=kind == "gravity",
        jumps=(90,),  # beside the stack, nothing would carry it
    )


_PLANS: Final[dict[str, Callable[[np.random.Generator, Kind], _Plan]]] = {
    "fall": _fall,
    "bounce": _bounce,
    "slide": _slide,
    "collide": _collide,
    "pour": _pour,
    "stack": _stack,
}
