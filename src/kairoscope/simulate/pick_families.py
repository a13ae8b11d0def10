"""Families in which an object is picked up and put somewhere: stack, place, insert."""

from dataclasses import replace

from kairoscope.simulate import objects
from kairoscope.simulate.draft import RADIUS_M, Draft
from kairoscope.simulate.planner import spread
from kairoscope.simulate.state import Event, Released, Seated


def stack(draft: Draft) -> bool:
    """A cube onto another, sometimes a third onto both."""
    three = draft.planner.chance(0.4)
    places = spread(draft.rng, [RADIUS_M] * (3 if three else 2))
    if places is None:
        return False
    if three:
        draft.planner.pace *= float(
            draft.rng.uniform(1.2, 2.2)
        )  # four events have to fit in the longest clip
    cubes = [draft.add("cube", at) for at in places]
    draft.distract([(*at, RADIUS_M) for at in places], 1 if three else 2)
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
        below = replace(cube, x=at[0], y=at[1])
    draft.instruction = f"stack the {cubes[0].name} on the {cubes[1].name}"
    if three:
        draft.instruction += f" and the {cubes[2].name} on top"
    return True


def place(draft: Draft) -> bool:
    """An object into a tray or a bowl."""
    rng = draft.rng
    places = spread(rng, [0.115, RADIUS_M])
    if places is None:
        return False
    name = str(rng.choice(["tray", "bowl"]))
    colour = draft.colour()
    make = objects.tray if name == "tray" else objects.bowl
    draft.fixtures.append(make(rng, colour, places[0]))
    thing = draft.add(str(rng.choice(objects.SHAPES)), places[1])
    draft.distract([(*places[0], 0.115), (*places[1], RADIUS_M)], 2)
    draft.grasp(thing)
    draft.set_down(thing, places[0], 0.006)
    where = f"in the {colour} {name}"
    draft.events.append(Event(f"placing the {thing.name} {where}", Released(thing.key, name)))
    draft.planner.release(thing.half_w)
    draft.instruction = f"place the {thing.name} {where}"
    return True


def insert(draft: Draft) -> bool:
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
    planner.above(places[0], receiver.yaw if kind == "peg" else None, z=rim_z + 0.04)
    planner.pause()
    if planner.chance(0.3):  # a first try beside the hole or post, on top of the rim
        slip = rng.uniform(0.012, 0.02) * rng.choice([-1, 1])
        planner.move((places[0][0] + slip, places[0][1]), rim_z + 0.004 + bottom_to_tip)
        planner.pause()
        planner.move(places[0], rim_z + 0.03 + bottom_to_tip)
    planner.move(places[0], rim_z + 0.01 + bottom_to_tip)
    planner.pause()
    planner.move(places[0], floor_z + bottom_to_tip)
    done = Seated(thing.key, receiver.name, rim_z, below)
    draft.events.append(Event(f"inserting the {thing.name}", done))
    planner.pause()
    planner.release(thing.half_w)
    over = "into the block" if kind == "peg" else "over the post"
    draft.instruction = f"insert the {thing.name} {over}"
    return True
