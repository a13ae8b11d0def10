"""The catalogue: how each object and fixture is built from a few primitives (sizes in metres)."""

import math

import numpy as np

from kairoscope.simulate.scene import Fixture, Geom, Moving, Thing
from kairoscope.simulate.vocabulary import COLOURS

SHAPES = ("cube", "ball", "cylinder", "box")
WOOD = (0.50, 0.36, 0.22)
STEEL = (0.62, 0.64, 0.67)


def thing(
    rng: np.random.Generator, kind: str, colour: str, at: tuple[float, float], *, size: float = 1.0
) -> Thing:
    """Draw one movable object of a kind (`SHAPES`, or `block`, `nut`, `ring`, `peg`)."""
    rgb = _tint(rng, colour)
    yaw = float(rng.uniform(-0.5, 0.5))
    a = float(rng.uniform(0.031, 0.038)) * size
    half_h, half_w = a, a
    if kind == "ball":
        geoms: tuple[Geom, ...] = (Geom(type="sphere", size=(a,), rgb=rgb),)
    elif kind == "cylinder":
        half_h = float(rng.uniform(0.032, 0.042))
        geoms = (Geom(type="cylinder", size=(a, half_h), rgb=rgb),)
    elif kind == "box":
        half_h = float(rng.uniform(0.028, 0.036))
        geoms = (Geom(type="box", size=(a, a * 1.45, half_h), rgb=rgb),)
    elif kind == "peg":
        half_w, half_h = 0.021, 0.055
        geoms = (Geom(type="cylinder", size=(half_w, half_h), rgb=rgb),)
    elif kind in ("nut", "ring"):
        half_w, half_h = 0.044, 0.016
        geoms = _loop(4 if kind == "nut" else 10, half_w, 0.02, half_h, rgb)
    else:  # cube, block
        geoms = (Geom(type="box", size=(a, a, a), rgb=rgb),)
    dip = {"peg": -0.014, "nut": 0.008, "ring": 0.008}.get(kind, half_h - 0.012)
    x, y = at
    return Thing(
        name=f"{colour} {kind}",
        geoms=geoms,
        x=x,
        y=y,
        yaw=yaw,
        half_w=half_w,
        half_h=half_h,
        grip_dz=-dip,
    )


def tray(rng: np.random.Generator, colour: str, at: tuple[float, float]) -> Fixture:
    """A shallow rectangular tray; its floor's geom is `tray`, its top 6 mm above the table."""
    rgb = _tint(rng, colour)
    hx, hy, wall = float(rng.uniform(0.088, 0.1)), float(rng.uniform(0.072, 0.085)), 0.011
    geoms = [Geom(type="box", size=(hx, hy, 0.003), pos=(0, 0, 0.003), rgb=rgb, role="support")]
    for sign in (-1, 1):
        geoms.append(_look_box((0.005, hy, wall), (sign * hx, 0, wall), rgb))
        geoms.append(_look_box((hx + 0.005, 0.005, wall), (0, sign * hy, wall), rgb))
    yaw = float(rng.uniform(-0.3, 0.3))
    return Fixture(name="tray", geoms=tuple(geoms), x=at[0], y=at[1], yaw=yaw)


def bowl(rng: np.random.Generator, colour: str, at: tuple[float, float]) -> Fixture:
    """A round bowl with a flat floor 6 mm above the table and a low rim."""
    rgb = _tint(rng, colour)
    radius, wall = float(rng.uniform(0.086, 0.095)), 0.014
    floor = Geom(type="cylinder", size=(radius, 0.003), pos=(0, 0, 0.003), rgb=rgb, role="support")
    rim = [
        Geom(
            type="box",
            size=(0.005, radius * math.tan(math.pi / 10) + 0.004, wall),
            pos=(radius * math.cos(angle), radius * math.sin(angle), wall),
            yaw=angle,
            rgb=rgb,
            role="look",
        )
        for angle in np.arange(10) * (2 * math.pi / 10)
    ]
    return Fixture(name="bowl", geoms=(floor, *rim), x=at[0], y=at[1])


def post(rng: np.random.Generator, at: tuple[float, float]) -> Fixture:
    """An upright post on a flat base; the base's top is at 10 mm, the post's at 75 mm."""
    rgb = STEEL if rng.random() < 0.5 else WOOD
    base = Geom(type="box", size=(0.052, 0.052, 0.005), pos=(0, 0, 0.005), rgb=rgb, role="support")
    rod = Geom(type="cylinder", size=(0.013, 0.0325), pos=(0, 0, 0.0425), rgb=rgb, role="look")
    return Fixture(name="post", geoms=(base, rod), x=at[0], y=at[1], yaw=float(rng.uniform(-1, 1)))


def socket(rng: np.random.Generator, at: tuple[float, float]) -> Fixture:
    """A block 60 mm high with a square hole whose bottom is at 6 mm."""
    rgb = STEEL if rng.random() < 0.5 else WOOD
    floor = Geom(
        type="box", size=(0.03, 0.03, 0.003), pos=(0, 0, 0.003), rgb=(0, 0, 0), role="support"
    )
    walls = [
        Geom(
            type=g.type,
            size=g.size,
            pos=(g.pos[0], g.pos[1], 0.03),
            yaw=g.yaw,
            rgb=rgb,
            role="look",
        )
        for g in _loop(4, 0.058, 0.026, 0.03, rgb)
    ]
    yaw = float(rng.uniform(-0.4, 0.4))
    return Fixture(name="socket", geoms=(floor, *walls), x=at[0], y=at[1], yaw=yaw)


def zone(colour: str, at: tuple[float, float], yaw: float, half_m: float) -> Fixture:
    """A coloured square painted on the table."""
    paint = Geom(
        type="box", size=(half_m, half_m, 0.0006), rgb=COLOURS[colour], role="look", alpha=0.75
    )
    return Fixture(name="zone", geoms=(paint,), x=at[0], y=at[1], yaw=yaw)


def cabinet(
    rng: np.random.Generator, colour: str, at: tuple[float, float], yaw: float, travel: float
) -> Fixture:
    """A cabinet with one drawer that slides out along its -y and a knob (`handle`) to pull."""
    shell, knob = (WOOD, STEEL)[:: 1 if rng.random() < 0.5 else -1]
    rgb = _tint(rng, colour)
    dark = (0.07, 0.07, 0.07)
    body = _look_box((0.105, 0.07, 0.046), (0, 0, 0.046), shell)
    drawer = (
        Geom(
            type="box",
            size=(0.016, 0.024, 0.02),
            pos=(0, -0.105, 0.05),
            rgb=(0.95, 0.95, 0.95) if colour != "white" else dark,
            role="grip",
            name="handle",
        ),
        _look_box((0.092, 0.006, 0.037), (0, -0.076, 0.043), rgb),
        _look_box((0.08, 0.055, 0.003), (0, -0.015, 0.012), dark),
        _look_box((0.003, 0.055, 0.022), (-0.08, -0.015, 0.035), rgb),
        _look_box((0.003, 0.055, 0.022), (0.08, -0.015, 0.035), rgb),
    )
    moving = Moving(
        name="handle", joint="slide", axis=(0.0, -1.0, 0.0), travel=travel, geoms=drawer
    )
    plinth = _look_box((0.107, 0.072, 0.004), (0, 0, 0.004), knob)
    return Fixture(name="cabinet", geoms=(body, plinth), x=at[0], y=at[1], yaw=yaw, moving=moving)


def button(rng: np.random.Generator, colour: str, at: tuple[float, float]) -> Fixture:
    """A round push button on a box; its plunger's travel is 20 mm, its top at 70 mm."""
    shell = STEEL if rng.random() < 0.5 else (0.2, 0.2, 0.22)
    box = _look_box((0.055, 0.055, 0.02), (0, 0, 0.02), shell)
    plunger = Geom(
        type="cylinder", size=(0.037, 0.015), rgb=_tint(rng, colour), role="grip", name="button"
    )
    moving = Moving(
        name="button",
        joint="slide",
        axis=(0.0, 0.0, -1.0),
        travel=0.02,
        geoms=(plunger,),
        pos=(0.0, 0.0, 0.055),
    )
    yaw = float(rng.uniform(-0.5, 0.5))
    return Fixture(name="button_box", geoms=(box,), x=at[0], y=at[1], yaw=yaw, moving=moving)


def lever(rng: np.random.Generator, colour: str, at: tuple[float, float], yaw: float) -> Fixture:
    """An upright lever with a ball on top that swings towards its -y by up to 0.85 rad."""
    rgb = _tint(rng, colour)
    base = _look_box((0.05, 0.04, 0.012), (0, 0, 0.012), (0.2, 0.2, 0.22))
    ball = Geom(type="sphere", size=(0.032,), pos=(0, 0, 0.125), rgb=rgb, role="grip", name="lever")
    rod = Geom(type="cylinder", size=(0.011, 0.06), pos=(0, 0, 0.06), rgb=STEEL, role="look")
    moving = Moving(
        name="lever",
        joint="hinge",
        axis=(1.0, 0.0, 0.0),
        travel=0.85,
        geoms=(ball, rod),
        pos=(0.0, 0.0, 0.015),
    )
    return Fixture(name="lever_base", geoms=(base,), x=at[0], y=at[1], yaw=yaw, moving=moving)


def _loop(
    sides: int, outer: float, inner: float, half_h: float, rgb: tuple[float, float, float]
) -> tuple[Geom, ...]:
    """A flat ring of boxes: `outer` and `inner` are the distances of its faces from the centre."""
    thick = (outer - inner) / 2
    length = outer if sides == 4 else outer * math.tan(math.pi / sides)
    return tuple(
        Geom(
            type="box",
            size=(thick, length, half_h),
            pos=((inner + thick) * math.cos(angle), (inner + thick) * math.sin(angle), 0.0),
            yaw=float(angle),
            rgb=rgb,
        )
        for angle in np.arange(sides) * (2 * math.pi / sides)
    )


def _look_box(
    size: tuple[float, float, float],
    pos: tuple[float, float, float],
    rgb: tuple[float, float, float],
) -> Geom:
    return Geom(type="box", size=size, pos=pos, rgb=rgb, role="look")


def _tint(rng: np.random.Generator, colour: str) -> tuple[float, float, float]:
    """The colour, a little lighter or darker."""
    r, g, b = (
        float(v) for v in np.clip(np.multiply(COLOURS[colour], rng.uniform(0.9, 1.05)), 0, 1)
    )
    return r, g, b
