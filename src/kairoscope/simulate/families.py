"""The task families: what stands on the table, what the arm does, and which events end when."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kairoscope.simulate import objects
from kairoscope.simulate.arm import Base, Hand
from kairoscope.simulate.motion import Timeline
from kairoscope.simulate.planner import Planner, spread
from kairoscope.simulate.scene import Fixture, Scene, Thing
from kairoscope.simulate.state import Event, Grasped, InZone, JointPast, Released, Seated
from kairoscope.simulate.vocabulary import COLOURS

_RADIUS_M = 0.066


@dataclass(frozen=True, slots=True)
class Plan:
    """One clip before it is simulated."""

    family: str
    instruction: str
    scene: Scene
    events: tuple[Event, ...]
    timeline: Timeline
    colours: tuple[str, ...]
    """Colours of everything that must stand out from the table."""


@dataclass(slots=True)
class Draft:
    """What a family fills in: fixtures, things and events, moved by one planner."""

    rng: np.random.Generator
    planner: Planner
    colours: list[str]
    """All colours in random order; a family takes its own from the front."""
    things: list[Thing]
    fixtures: list[Fixture]
    events: list[Event]
    instruction: str = ""

    def colour(self) -> str:
        """The next unused colour."""
        return self.colours.pop(0)

    def add(self, kind: str, at: tuple[float, float], *, size: float = 1.0) -> Thing:
        """Put a movable object of a new colour on the table."""
        made = objects.thing(self.rng, kind, self.colour(), at, size=size)
        self.things.append(made)
        self.planner.obstacles[made.name] = at
        return made

    def distract(self, taken: list[tuple[float, float, float]], most: int) -> None:
        """Add up to `most` objects that nothing is asked about; sometimes visit one first."""
        for _ in range(int(self.rng.integers(0, most + 1))):
            places = spread(self.rng, [_RADIUS_M], taken)
            if places is None:
                return
            self.add(str(self.rng.choice(objects.SHAPES)), places[0])
            taken.append((*places[0], _RADIUS_M))

    def grasp(self, thing: Thing) -> None:
        """Grasp a thing; the event is named after it. Sometimes a distractor is visited first."""
        others = [name for name in self.planner.obstacles if name != thing.name]
        if others and self.planner.chance(0.22):
            self.planner.visit(*self.planner.obstacles[others[self.rng.integers(len(others))]])
        z = thing.half_h + thing.grip_dz
        self.planner.grasp(thing.x, thing.y, z, thing.yaw, thing.half_w, 2 * thing.half_h)
        self.events.append(Event(f"grasping the {thing.name}", Grasped(thing.key)))
        self.planner.obstacles.pop(thing.name, None)
        self.planner.pause()

    def set_down(self, thing: Thing, at: tuple[float, float], floor_z: float) -> None:
        """Carry the held thing to `at` and lower it until it rests at `floor_z`."""
        planner = self.planner
        planner.lift(high=floor_z + 0.19)
        jitter = self.rng.uniform(-0.004, 0.004, 2)
        x, y = at[0] + jitter[0], at[1] + jitter[1]
        z = floor_z + thing.half_h + thing.grip_dz
        yaw = float(planner.hand[3] + self.rng.uniform(-0.3, 0.3))
        planner.above(x, y, yaw, z=max(z + 0.06, 0.12))
        planner.pause()
        planner.move(x, y, z)


def draw_plan(rng: np.random.Generator, family: str) -> Plan | None:
    """Draw one clip of a family; None when the objects did not find room (draw again)."""
    start: Hand = np.array(
        [
            rng.uniform(-0.2, 0.2),
            rng.uniform(-0.08, 0.16),
            rng.uniform(0.15, 0.22),
            rng.uniform(-0.5, 0.5),
            rng.uniform(0.0, 0.11),
        ]
    )
    planner = Planner(rng, start, pace=float(np.exp(rng.uniform(math.log(0.95), math.log(2.4)))))
    draft = Draft(rng, planner, list(rng.permutation(list(COLOURS))), [], [], [])
    planner.wait(0.0, 2.0)
    planner.wander()
    if not _FAMILIES[family](draft):
        return None
    planner.leave()
    base = Base(float(rng.uniform(-0.22, 0.22)), float(rng.uniform(0.40, 0.46)))
    used = [colour for colour in COLOURS if colour not in draft.colours]
    return Plan(
        family=family,
        instruction=draft.instruction,
        scene=Scene(things=tuple(draft.things), fixtures=tuple(draft.fixtures), base=base),
        events=tuple(draft.events),
        timeline=planner.timeline(),
        colours=tuple(used),
    )


def _stack(draft: Draft) -> bool:
    """A cube onto another, sometimes a third onto both."""
    three = draft.planner.chance(0.4)
    places = spread(draft.rng, [_RADIUS_M] * (3 if three else 2))
    if places is None:
        return False
    if three:
        draft.planner.pace *= float(
            draft.rng.uniform(1.2, 2.2)
        )  # four events have to fit in the longest clip
    cubes = [draft.add("cube", at) for at in places]
    draft.distract([(*at, _RADIUS_M) for at in places], 1 if three else 2)
    below, top_z = cubes[1], 2 * cubes[1].half_h
    order = [cubes[0], *cubes[2:]]
    for cube in order:
        draft.grasp(cube)
        draft.set_down(cube, (below.x, below.y), top_z)
        draft.events.append(Event(f"releasing the {cube.name}", Released(cube.key, below.key)))
        draft.planner.release(cube.half_w)
        if cube is not order[-1]:
            draft.planner.pause()
            draft.planner.lift(high=top_z + 0.17)
        at, top_z = (below.x, below.y), top_z + 2 * cube.half_h
        below = _moved(cube, at)
    draft.instruction = f"stack the {cubes[0].name} on the {cubes[1].name}"
    if three:
        draft.instruction += f" and the {cubes[2].name} on top"
    return True


def _moved(thing: Thing, at: tuple[float, float]) -> Thing:
    return Thing(
        name=thing.name,
        geoms=thing.geoms,
        x=at[0],
        y=at[1],
        yaw=thing.yaw,
        half_w=thing.half_w,
        half_h=thing.half_h,
        grip_dz=thing.grip_dz,
    )


def _place(draft: Draft) -> bool:
    """An object into a tray or a bowl."""
    rng = draft.rng
    places = spread(rng, [0.115, _RADIUS_M])
    if places is None:
        return False
    name = str(rng.choice(["tray", "bowl"]))
    colour = draft.colour()
    make = objects.tray if name == "tray" else objects.bowl
    draft.fixtures.append(make(rng, colour, places[0]))
    thing = draft.add(str(rng.choice(objects.SHAPES)), places[1])
    draft.distract([(*places[0], 0.115), (*places[1], _RADIUS_M)], 2)
    draft.grasp(thing)
    draft.set_down(thing, places[0], 0.006)
    where = f"in the {colour} {name}"
    draft.events.append(Event(f"placing the {thing.name} {where}", Released(thing.key, name)))
    draft.planner.release(thing.half_w)
    draft.instruction = f"place the {thing.name} {where}"
    return True


def _insert(draft: Draft) -> bool:
    """A nut or ring over a post, or a peg into a block with a hole."""
    rng, planner = draft.rng, draft.planner
    kind = str(rng.choice(["nut", "ring", "peg"]))
    places = spread(rng, [0.085, 0.085])
    if places is None:
        return False
    receiver = objects.socket(rng, places[0]) if kind == "peg" else objects.post(rng, places[0])
    draft.fixtures.append(receiver)
    thing = draft.add(kind, places[1])
    draft.distract([(*at, 0.085) for at in places], 2)
    draft.grasp(thing)
    rim_z, floor_z, below = (0.06, 0.006, -0.03) if kind == "peg" else (0.075, 0.01, 0.016)
    planner.lift(high=rim_z + 0.16)
    bottom_to_tip = thing.half_h + thing.grip_dz
    planner.above(*places[0], receiver.yaw if kind == "peg" else None, z=rim_z + 0.04)
    planner.pause()
    if planner.chance(0.3):  # a first try beside the hole or post, on top of the rim
        slip = rng.uniform(0.012, 0.02) * rng.choice([-1, 1])
        planner.move(places[0][0] + slip, places[0][1], rim_z + 0.004 + bottom_to_tip)
        planner.pause()
        planner.move(*places[0], rim_z + 0.03 + bottom_to_tip)
    planner.move(*places[0], rim_z + 0.01 + bottom_to_tip)
    planner.pause()
    planner.move(*places[0], floor_z + bottom_to_tip)
    done = Seated(thing.key, receiver.name, rim_z, below)
    draft.events.append(Event(f"inserting the {thing.name}", done))
    planner.pause()
    planner.release(thing.half_w)
    over = "into the block" if kind == "peg" else "over the post"
    draft.instruction = f"insert the {thing.name} {over}"
    return True


def _push(draft: Draft) -> bool:
    """A block pushed into a painted square; sometimes another object is grasped afterwards."""
    rng, planner = draft.rng, draft.planner
    zone_colour = draft.colour()
    heading = float(rng.choice([0.0, math.pi, math.pi, -math.pi / 2, 0.0]) + rng.uniform(-0.4, 0.4))
    length = float(rng.uniform(0.15, 0.22))
    step = length * np.array([math.cos(heading), math.sin(heading)])
    start = rng.uniform((-0.15, -0.12), (0.15, 0.12))
    goal = start + step
    if abs(goal[0]) > 0.19 or abs(goal[1]) > 0.13:
        return False
    yaw = (heading + math.pi / 4) % (math.pi / 2) - math.pi / 4
    block = draft.add("block", (float(start[0]), float(start[1])))
    block = _turned(block, yaw)
    draft.things[-1] = block
    half_zone = block.half_w + float(rng.uniform(0.018, 0.026))
    draft.fixtures.append(
        objects.zone(zone_colour, (float(goal[0]), float(goal[1])), heading, half_zone)
    )
    taken = [(*(start + step * u), 0.075) for u in (-0.35, 0.0, 0.33, 0.66, 1.0)]
    then = planner.chance(0.5)
    if then:
        places = spread(rng, [_RADIUS_M], taken)
        if places is None:
            return False
        other = draft.add(str(rng.choice(objects.SHAPES)), places[0])
        taken.append((*places[0], _RADIUS_M))
    draft.distract(taken, 2)
    _push_along(draft, block, start, goal, heading, half_zone)
    draft.instruction = f"push the {block.name} onto the {zone_colour} square"
    if then:
        planner.lift()
        draft.grasp(other)
        planner.lift()
        draft.instruction += f" and pick up the {other.name}"
    return True


def _push_along(
    draft: Draft, block: Thing, start: Hand, goal: Hand, heading: float, half_zone: float
) -> None:
    planner, rng = draft.planner, draft.rng
    ahead = np.array([math.cos(heading), math.sin(heading)])
    quarter = round((heading - block.yaw) / (math.pi / 2)) % 2
    front = 0.017 if quarter else 0.024
    if planner.chance(0.35) and len(draft.things) > 1:
        planner.visit(draft.things[-1].x, draft.things[-1].y)
    away = start - ahead * (block.half_w + front + float(rng.uniform(0.02, 0.04)))
    planner.above(*away, block.yaw)
    planner.grip(0.0)
    if planner.chance(0.2):  # lowers too far off, thinks again
        planner.move(*away, 0.09)
        planner.pause()
        planner.lift()
        planner.above(*away)
    planner.move(*away, 0.014)
    planner.pause()
    end = goal - ahead * (block.half_w + front) + ahead * float(rng.uniform(-0.008, 0.012))
    if planner.chance(0.4):  # in two goes
        half = start + (goal - start) * float(rng.uniform(0.3, 0.6))
        planner.move(*(half - ahead * (block.half_w + front)), 0.014)
        planner.pause()
    planner.move(*end, 0.014)
    reach = half_zone - block.half_w
    done = InZone(block.key, "zone", heading, reach)
    draft.events.append(Event(f"pushing the {block.name}", done))
    planner.pause()
    planner.move(*(end - ahead * 0.03), 0.014)


def _turned(thing: Thing, yaw: float) -> Thing:
    return Thing(
        name=thing.name,
        geoms=thing.geoms,
        x=thing.x,
        y=thing.y,
        yaw=yaw,
        half_w=thing.half_w,
        half_h=thing.half_h,
        grip_dz=thing.grip_dz,
    )


def _open(draft: Draft) -> bool:
    """A drawer pulled open by its knob, sometimes pushed shut again."""
    rng, planner = draft.rng, draft.planner
    at = (float(rng.uniform(-0.13, 0.13)), float(rng.uniform(0.06, 0.11)))
    yaw = float(rng.choice([-1, 1]) * rng.uniform(0.15, 0.8))
    travel = float(rng.uniform(0.1, 0.13))
    draft.fixtures.append(objects.cabinet(rng, draft.colour(), at, yaw, travel))
    out = np.array([math.sin(yaw), -math.cos(yaw)])
    taken = [(*(np.array(at) + out * d), r) for d, r in ((0.0, 0.14), (0.12, 0.1), (0.22, 0.1))]
    draft.distract(taken, 2)
    if draft.things and planner.chance(0.25):
        planner.visit(draft.things[0].x, draft.things[0].y)
    knob = np.array(at) + out * (0.107 + float(rng.uniform(-0.003, 0.003)))
    planner.obstacles["cabinet"] = at
    planner.grasp(*knob, 0.036, yaw, 0.016, 0.092)
    draft.events.append(Event("grasping the handle", Grasped("handle")))
    planner.pause()
    if planner.chance(0.3):
        part = knob + out * travel * float(rng.uniform(0.2, 0.6))
        _slide(draft, part, 0.5)
        planner.pause()
    end = knob + out * travel * float(rng.uniform(0.94, 1.0))
    _slide(draft, end, 1.6)
    opened = JointPast("handle", 0.88 * travel)
    draft.events.append(Event("opening the drawer", opened))
    draft.instruction = "open the drawer"
    planner.pause()
    if planner.chance(0.4):
        _slide(draft, knob, 1.6)
        shut = JointPast("handle", 0.06 * travel, upwards=False)
        draft.events.append(Event("closing the drawer", shut))
        draft.instruction = "open the drawer and close it"
    planner.pause()
    planner.release(0.016)
    return True


def _slide(draft: Draft, to: Any, seconds: float) -> None:
    """Move the closed gripper in a straight line at its height: drawers stick and run slowly."""
    start = draft.planner.hand
    way = np.array(to) - start[:2]

    def line(u: float) -> Hand:
        hand = start.copy()
        hand[:2] += u * way
        return hand

    draft.planner.follow(line, seconds)


def _press(draft: Draft) -> bool:
    """A button pressed, then a lever grasped and pulled."""
    rng, planner = draft.rng, draft.planner
    side = float(rng.choice([-1, 1]))
    spot = (side * float(rng.uniform(0.08, 0.17)), float(rng.uniform(-0.1, 0.1)))
    stand = (-side * float(rng.uniform(0.05, 0.16)), float(rng.uniform(0.0, 0.12)))
    if math.dist(spot, stand) < 0.19:
        return False
    push_colour, pull_colour = draft.colour(), draft.colour()
    yaw = float(rng.uniform(-0.7, 0.7))
    draft.fixtures.append(objects.button(rng, push_colour, spot))
    draft.fixtures.append(objects.lever(rng, pull_colour, stand, yaw))
    out = np.array([math.sin(yaw), -math.cos(yaw)])
    taken = [(*spot, 0.1), (*stand, 0.1), (*(np.array(stand) + out * 0.1), 0.08)]
    draft.distract(taken, 1)
    planner.lift(high=0.25)  # the lever is taller than anything else
    if planner.chance(0.3):
        planner.above(*stand, z=0.2)
        planner.pause()
    planner.above(*spot, z=0.19)
    planner.grip(float(rng.uniform(0.0, 0.012)))
    if planner.chance(0.2):
        planner.move(*spot, 0.09)
        planner.pause()
        planner.move(*spot, 0.13)
    planner.move(*spot, float(rng.uniform(0.072, 0.085)))
    planner.pause()
    planner.move(*spot, 0.05)
    draft.events.append(Event(f"pressing the {push_colour} button", JointPast("button", 0.016)))
    planner.pause()
    planner.lift(high=0.25)
    _pull(draft, stand, yaw, f"{pull_colour} lever")
    draft.instruction = f"press the {push_colour} button and pull the {pull_colour} lever"
    return True


def _pull(draft: Draft, stand: tuple[float, float], yaw: float, name: str) -> None:
    rng, planner = draft.rng, draft.planner
    pivot_z, radius, dip = 0.015, 0.125, 0.012
    planner.obstacles["lever"] = stand
    planner.grasp(*stand, pivot_z + radius - dip, yaw, 0.032, pivot_z + radius + 0.032)
    draft.events.append(Event(f"grasping the {name}", Grasped("lever")))
    planner.pause()
    start = planner.hand
    angle = float(rng.uniform(0.7, 0.84))
    out = (math.sin(yaw), -math.cos(yaw))

    def swing(u: float) -> Hand:
        hand = start.copy()
        hand[0] += out[0] * radius * math.sin(u * angle)
        hand[1] += out[1] * radius * math.sin(u * angle)
        hand[2] += radius * (math.cos(u * angle) - 1.0)
        return hand

    planner.follow(swing, 1.5)
    draft.events.append(Event(f"pulling the {name}", JointPast("lever", 0.66)))
    planner.pause()
    planner.release(0.032)


_FAMILIES: dict[str, Callable[[Draft], bool]] = {
    "stack": _stack,
    "place": _place,
    "insert": _insert,
    "push": _push,
    "open": _open,
    "press": _press,
}
