"""From a family's name to a planned clip: what stands where, what the arm does, which events end."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from kairoscope.simulate import contact_families as contact
from kairoscope.simulate import pick_families as pick
from kairoscope.simulate.arm import Base, Hand
from kairoscope.simulate.draft import Draft
from kairoscope.simulate.motion import Timeline
from kairoscope.simulate.planner import Planner
from kairoscope.simulate.scene import Scene
from kairoscope.simulate.state import Event
from kairoscope.simulate.vocabulary import COLOURS

_FAMILIES: Final[dict[str, Callable[[Draft], bool]]] = {
    "stack": pick.stack,
    "place": pick.place,
    "insert": pick.insert,
    "push": contact.push,
    "open": contact.open_drawer,
    "press": contact.press,
}
_RAISED_M: Final = {"press": 0.06}
"""How much higher the hand begins, where something tall stands on the table."""


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


def draw_plan(rng: np.random.Generator, family: str) -> Plan | None:
    """Draw one clip of a family; None when the objects did not find room (draw again)."""
    raised_m = _RAISED_M.get(family, 0.0)
    start: Hand = np.array(
        [
            rng.uniform(-0.2, 0.2),
            rng.uniform(-0.08, 0.16),
            rng.uniform(0.15, 0.22) + raised_m,
            rng.uniform(-0.5, 0.5),
            rng.uniform(0.0, 0.11),
        ]
    )
    planner = Planner(rng, start, pace=float(np.exp(rng.uniform(math.log(0.95), math.log(2.4)))))
    draft = Draft(rng, planner, list(rng.permutation(list(COLOURS))), [], [], [])
    planner.wait(0.0, 2.5)
    planner.wander(raised_m)
    if not _FAMILIES[family](draft):
        return None
    planner.leave(raised_m)
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
