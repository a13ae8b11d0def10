"""Families in which something is pushed, pulled or pressed where it stands: push, open, press."""

import math
from dataclasses import replace

import numpy as np

from kairoscope.simulate import objects
from kairoscope.simulate.arm import Hand
from kairoscope.simulate.draft import RADIUS_M, Draft
from kairoscope.simulate.planner import Place, spread
from kairoscope.simulate.scene import Thing
from kairoscope.simulate.state import Event, Grasped, InZone, JointPast


def push(draft: Draft) -> bool:
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
    block = replace(block, yaw=yaw)
    draft.things[-1] = block
    half_zone = block.half_w + float(rng.uniform(0.018, 0.026))
    draft.fixtures.append(
        objects.zone(zone_colour, (float(goal[0]), float(goal[1])), heading, half_zone)
    )
    taken = [(*(start + step * u), 0.075) for u in (-0.35, 0.0, 0.33, 0.66, 1.0)]
    then = planner.chance(0.5)
    if then:
        places = spread(rng, [RADIUS_M], taken)
        if places is None:
            return False
        other = draft.add(str(rng.choice(objects.SHAPES)), places[0])
        taken.append((*places[0], RADIUS_M))
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
        planner.visit((draft.things[-1].x, draft.things[-1].y))
    away = start - ahead * (block.half_w + front + float(rng.uniform(0.02, 0.04)))
    planner.above(away, block.yaw)
    planner.grip(0.0)
    if planner.chance(0.2):  # lowers too far off, thinks again
        planner.move(away, 0.09)
        planner.pause()
        planner.lift()
        planner.above(away)
    planner.move(away, 0.014)
    planner.pause()
    end = goal - ahead * (block.half_w + front) + ahead * float(rng.uniform(-0.008, 0.012))
    if planner.chance(0.4):  # in two goes
        half = start + (goal - start) * float(rng.uniform(0.3, 0.6))
        planner.move(half - ahead * (block.half_w + front), 0.014)
        planner.pause()
    planner.move(end, 0.014)
    reach = half_zone - block.half_w
    done = InZone(block.key, "zone", heading, reach)
    draft.events.append(Event(f"pushing the {block.name}", done))
    planner.pause()
    planner.move(end - ahead * 0.03, 0.014)


def open_drawer(draft: Draft) -> bool:
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
        planner.visit((draft.things[0].x, draft.things[0].y))
    knob = np.array(at) + out * (0.107 + float(rng.uniform(-0.003, 0.003)))
    planner.obstacles["cabinet"] = at
    planner.grasp(knob, 0.036, yaw=yaw, half_w=0.016, top=0.092)
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


def _slide(draft: Draft, to: Place, seconds: float) -> None:
    """Move the closed gripper in a straight line at its height: drawers stick and run slowly."""
    start = draft.planner.hand
    way = np.array(to) - start[:2]

    def line(u: float) -> Hand:
        hand = start.copy()
        hand[:2] += u * way
        return hand

    draft.planner.follow(line, seconds)


def press(draft: Draft) -> bool:
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
        planner.above(stand, z=0.2)
        planner.pause()
    planner.above(spot, z=0.19)
    planner.grip(float(rng.uniform(0.0, 0.012)))
    if planner.chance(0.2):
        planner.move(spot, 0.09)
        planner.pause()
        planner.move(spot, 0.13)
    planner.move(spot, float(rng.uniform(0.072, 0.085)))
    planner.pause()
    planner.move(spot, 0.05)
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
    top = pivot_z + radius + 0.032
    planner.grasp(stand, pivot_z + radius - dip, yaw=yaw, half_w=0.032, top=top)
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
