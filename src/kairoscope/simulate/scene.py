"""What stands on the table and how it looks, and the MuJoCo model made of it."""

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from kairoscope.simulate import vocabulary as words
from kairoscope.simulate.arm import Base, arm_xml

Vec3 = tuple[float, float, float]
Role = Literal["look", "body", "support", "grip"]
"""What a geom collides with: nothing; fingers and supports (an object); objects; fingers."""

_MASKS: Final[dict[Role, tuple[int, int]]] = {
    "look": (0, 0),
    "body": (2, 3),
    "support": (0, 2),
    "grip": (0, 1),
}
TOUCH_M: Final = 0.0005
"""Two surfaces closer than this are in contact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geom:
    """One primitive of a thing, in the frame of its body; sizes are MuJoCo's half sizes."""

    type: str
    size: tuple[float, ...]
    rgb: words.Rgb
    pos: Vec3 = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    role: Role = "body"
    name: str = ""
    alpha: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An object that can be moved freely. `half_w` is half its width between the fingers."""

    name: str
    geoms: tuple[Geom, ...]
    x: float
    y: float
    yaw: float
    half_w: float
    half_h: float
    grip_dz: float
    """Height of the finger tips above the centre when it is held, metres (mostly negative)."""

    @property
    def key(self) -> str:
        """The body's name in the model."""
        return self.name.replace(" ", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """The moving part of a fixture: one joint, limited to `0..travel` (metres or radians)."""

    name: str
    joint: Literal["slide", "hinge"]
    axis: Vec3
    travel: float
    geoms: tuple[Geom, ...]
    pos: Vec3 = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """Something that stays where it is: tray, post, cabinet, target zone."""

    name: str
    geoms: tuple[Geom, ...]
    x: float
    y: float
    yaw: float = 0.0
    moving: Moving | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A table with things, fixtures and an arm."""

    things: tuple[Thing, ...]
    fixtures: tuple[Fixture, ...]
    base: Base

    def thing(self, name: str) -> Thing:
        """The thing of that name."""
        return next(thing for thing in self.things if thing.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Camera, light and surface colours; none of it changes what happens."""

    table: words.Rgb
    table_texture: str
    floor: words.Rgb
    sky: words.Rgb
    arm: words.Rgb
    joints: words.Rgb
    finger: words.Rgb
    azimuth_deg: float
    elevation_deg: float
    view_width_m: float
    target: Vec3
    fovy_deg: float
    light_dir: Vec3
    light: float
    ambient: float
    tint: Vec3 = field(default=(1.0, 1.0, 1.0))


def draw_look(rng: np.random.Generator, scene: Scene, colours: list[words.Rgb]) -> Look:
    """Draw a look in which every one of `colours` stands out from the table.

    The camera leans towards the middle of what stands on the table, so that little is cut off.
    """
    places = np.array([(t.x, t.y) for t in scene.things] + [(f.x, f.y) for f in scene.fixtures])
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    tables = [
        table
        for table in words.TABLES
        if all(np.abs(np.subtract(table, rgb)).sum() > 0.45 for rgb in colours)
    ] or [words.TABLES[3]]
    table = tables[rng.integers(len(tables))]
    floor = words.FLOORS[rng.integers(len(words.FLOORS))]
    brightness = words.luminance(table)
    fingers = [f for f in words.FINGERS if abs(words.luminance(f) - brightness) > 0.33]
    finger = fingers[rng.integers(len(fingers))]
    view = rng.integers(3)
    azimuth = rng.uniform(-14, 14) if view < 2 else rng.choice([-1, 1]) * rng.uniform(22, 42)
    elevation = rng.uniform(38, 48) if view == 1 else rng.uniform(24, 36)
    r, g, b = np.clip(np.multiply(table, rng.uniform(0.92, 1.08, 3)), 0, 1)
    return Look(
        table=(float(r), float(g), float(b)),
        table_texture=str(rng.choice(["flat", "flat", "checker", "gradient"])),
        floor=floor,
        sky=words.FLOORS[rng.integers(len(words.FLOORS))],
        arm=words.ARMS[rng.integers(len(words.ARMS))],
        joints=words.ARMS[rng.integers(len(words.ARMS))],
        finger=finger,
        azimuth_deg=float(azimuth),
        elevation_deg=float(elevation),
        view_width_m=float(rng.uniform(0.59, 0.67)),
        target=(
            float(0.75 * middle[0] + rng.uniform(-0.02, 0.02)),
            float(0.5 * middle[1] + rng.uniform(-0.01, 0.03)),
            0.075,
        ),
        fovy_deg=float(rng.uniform(30, 45)),
        light_dir=(float(rng.uniform(-0.7, 0.7)), float(rng.uniform(-0.3, 0.8)), -1.0),
        light=float(rng.uniform(0.45, 0.7)),
        ambient=float(rng.uniform(0.32, 0.46)),
        tint=(1.0, float(rng.uniform(0.93, 1.0)), float(rng.uniform(0.86, 1.0))),
    )


def scene_xml(scene: Scene, look: Look, size_px: int) -> str:
    """The MuJoCo model of `scene` as MJCF, rendered at most at `size_px` square."""
    tones = " ".join(f"{look.light * tint:.3f}" for tint in look.tint)
    ambient = " ".join([f"{look.ambient:.3f}"] * 3)
    blob = '<geom class="look" type="cylinder" size=".05 .0004" rgba="0 0 0 .25"/>'
    return f"""<mujoco>
<option gravity="0 0 0"/>
<visual><global offwidth="{size_px}" offheight="{size_px}"/>
<quality offsamples="0" shadowsize="0" numslices="16" numstacks="8"/>
<headlight ambient="{ambient}" diffuse=".15 .15 .15" specular="0 0 0"/><map znear=".05"/></visual>
<default><geom margin="{TOUCH_M}"/><default class="look"><geom contype="0" conaffinity="0"/>
</default></default>
<asset>{_table_texture(look)}</asset>
<worldbody>
<light directional="true" dir="{_join(look.light_dir)}" diffuse="{tones}" specular=".1 .1 .1"/>
<geom name="table" type="box" size=".62 .5 .02" pos="0 .1 -.02" material="table" contype="0"
 conaffinity="2"/>
<geom class="look" type="plane" size="4 4 .1" pos="0 0 -.35" rgba="{_rgba(look.floor)}"/>
<body name="blob" pos="0 0 .0007"><joint name="blob_x" type="slide" axis="1 0 0"/>
<joint name="blob_y" type="slide" axis="0 1 0"/>{blob}</body>
{arm_xml(scene.base, _rgba(look.arm), _rgba(look.joints), _rgba(look.finger))}
{"".join(_fixture_xml(fixture) for fixture in scene.fixtures)}
{"".join(_thing_xml(thing) for thing in scene.things)}
</worldbody></mujoco>"""


def _table_texture(look: Look) -> str:
    shade = tuple(0.82 * value for value in look.table)
    return (
        f'<texture type="skybox" builtin="flat" width="8" height="48" rgb1="{_join(look.sky)}"/>'
        f'<texture name="table" type="2d" builtin="{look.table_texture}" width="64" height="64" '
        f'rgb1="{_join(look.table)}" rgb2="{_join(shade)}"/>'
        '<material name="table" texture="table" texrepeat="5 5" specular="0" reflectance="0"/>'
    )


def _thing_xml(thing: Thing) -> str:
    inertia = '<inertial pos="0 0 0" mass=".1" diaginertia=".001 .001 .001"/>'
    geoms = "".join(_geom_xml(geom) for geom in thing.geoms)
    return f'<body name="{thing.key}"><freejoint name="{thing.key}"/>{inertia}{geoms}</body>'


def _fixture_xml(fixture: Fixture) -> str:
    moving = ""
    if fixture.moving is not None:
        part = fixture.moving
        moving = (
            f'<body name="{part.name}" pos="{_join(part.pos)}"><joint name="{part.name}" '
            f'type="{part.joint}" axis="{_join(part.axis)}"/>'
            f"{''.join(_geom_xml(geom) for geom in part.geoms)}</body>"
        )
    return (
        f'<body name="{fixture.name}" pos="{fixture.x} {fixture.y} 0" '
        f'euler="0 0 {np.degrees(fixture.yaw)}">'
        f"{''.join(_geom_xml(geom) for geom in fixture.geoms)}{moving}</body>"
    )


def _geom_xml(geom: Geom) -> str:
    contype, conaffinity = _MASKS[geom.role]
    name = f'name="{geom.name}" ' if geom.name else ""
    return (
        f'<geom {name}type="{geom.type}" size="{_join(geom.size)}" pos="{_join(geom.pos)}" '
        f'euler="0 0 {np.degrees(geom.yaw)}" rgba="{_rgba(geom.rgb, geom.alpha)}" '
        f'contype="{contype}" conaffinity="{conaffinity}"/>'
    )


def _rgba(rgb: words.Rgb, alpha: float = 1.0) -> str:
    return f"{_join(rgb)} {alpha}"


def _join(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.5f}" for value in values)
