"""A clip in the making: what a task family fills in, and the steps that families share."""

from dataclasses import dataclass

import numpy as np

from kairoscope.simulate import objects
from kairoscope.simulate.planner import Place, Planner, spread
from kairoscope.simulate.scene import Fixture, Thing
from kairoscope.simulate.state import Event, Grasped

RADIUS_M = 0.066
"""Room kept around the centre of an object, so that open fingers fit between two of them."""


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
            places = spread(self.rng, [RADIUS_M], taken)
            if places is None:
                return
            self.add(str(self.rng.choice(objects.SHAPES)), places[0])
            taken.append((*places[0], RADIUS_M))

    def grasp(self, thing: Thing) -> None:
        """Grasp a thing; the event is named after it. Sometimes a distractor is visited first."""
        others = [name for name in self.planner.obstacles if name != thing.name]
        if others and self.planner.chance(0.22):
            self.planner.visit(self.planner.obstacles[others[self.rng.integers(len(others))]])
        z = thing.half_h + thing.grip_dz
        place, top = (thing.x, thing.y), 2 * thing.half_h
        self.planner.grasp(place, z, yaw=thing.yaw, half_w=thing.half_w, top=top)
        self.events.append(Event(f"grasping the {thing.name}", Grasped(thing.key)))
        self.planner.obstacles.pop(thing.name, None)
        self.planner.pause()

    def set_down(self, thing: Thing, at: Place, floor_z: float) -> None:
        """Carry the held thing to `at` and lower it until it rests at `floor_z`."""
        planner = self.planner
        planner.lift(high=floor_z + 0.19)
        jitter = self.rng.uniform(-0.004, 0.004, 2)
        place = np.array(at) + jitter
        z = floor_z + thing.half_h + thing.grip_dz
        yaw = float(planner.hand[3] + self.rng.uniform(-0.3, 0.3))
        planner.above(place, yaw, z=max(z + 0.06, 0.12))
        planner.pause()
        planner.move(place, z)
