"""What the simulator's state says: contacts, poses, joints, and the predicates that end an event.

A predicate is a function of the current state alone, never of the script that moved the arm.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PADS = ("pad_left", "pad_right")


@dataclass(frozen=True, slots=True)
class State:
    """One instant, read off MuJoCo's data after its kinematics and collision passes."""

    contacts: frozenset[tuple[str, str]]
    """Pairs of names in contact, both ways round. A name is a geom's own, else its body's."""
    positions: dict[str, tuple[float, float, float]]
    joints: dict[str, float]

    def touching(self, a: str, b: str) -> bool:
        """Whether `a` and `b` are in contact."""
        return (a, b) in self.contacts

    def held(self, body: str) -> bool:
        """Whether both finger pads touch the body."""
        return all((pad, body) in self.contacts for pad in PADS)


@dataclass(frozen=True, slots=True)
class Grasped:
    """Both finger pads touch the body."""

    body: str

    def holds(self, state: State) -> bool:
        """Whether it is so in `state`."""
        return state.held(self.body)


@dataclass(frozen=True, slots=True)
class Released:
    """The body rests on its support and neither finger pad touches it."""

    body: str
    support: str

    def holds(self, state: State) -> bool:
        """Whether it is so in `state`."""
        free = not any(state.touching(pad, self.body) for pad in PADS)
        return free and state.touching(self.body, self.support)


@dataclass(frozen=True, slots=True)
class Seated:
    """The body sits on the bottom of what it was inserted in (or put over), below the rim."""

    body: str
    seat: str
    rim_z: float
    """Height that a part of the body must have passed, metres."""
    below: float
    """Height of that part above the body's centre, metres."""

    def holds(self, state: State) -> bool:
        """Whether it is so in `state`."""
        low = state.positions[self.body][2] + self.below < self.rim_z
        return low and state.touching(self.body, self.seat)


@dataclass(frozen=True, slots=True)
class InZone:
    """The body's whole length along the push lies inside the target zone."""

    body: str
    zone: str
    direction: float
    """Of the push, radians about z."""
    half_m: float
    """Half the zone's length minus half the body's, metres."""

    def holds(self, state: State) -> bool:
        """Whether it is so in `state`."""
        dx = state.positions[self.body][0] - state.positions[self.zone][0]
        dy = state.positions[self.body][1] - state.positions[self.zone][1]
        along = dx * math.cos(self.direction) + dy * math.sin(self.direction)
        return abs(along) <= self.half_m


@dataclass(frozen=True, slots=True)
class JointPast:
    """A joint has passed a limit, upwards or downwards."""

    joint: str
    limit: float
    upwards: bool = True

    def holds(self, state: State) -> bool:
        """Whether it is so in `state`."""
        value = state.joints[self.joint]
        return value >= self.limit if self.upwards else value <= self.limit


Predicate = Grasped | Released | Seated | InZone | JointPast


@dataclass(frozen=True, slots=True)
class Event:
    """A subtask: it begins where the one before ends, and ends when its predicate holds."""

    name: str
    until: Predicate


class Reader:
    """Reads `State` from a MuJoCo model and its data."""

    def __init__(self, model: Any, data: Any, *, bodies: Sequence[str], joints: Sequence[str]):
        self._data = data
        self._names = [
            model.geom(i).name or model.body(model.geom_bodyid[i]).name for i in range(model.ngeom)
        ]
        self._bodies = {name: model.body(name).id for name in bodies}
        self._joints = {name: int(model.jnt_qposadr[model.joint(name).id]) for name in joints}

    def read(self) -> State:
        """The state of the instant whose kinematics and collisions were last computed."""
        data, names = self._data, self._names
        pairs = [(names[a], names[b]) for a, b in data.contact.geom.tolist()]
        return State(
            contacts=frozenset(pairs + [(b, a) for a, b in pairs]),
            positions={name: tuple(data.xpos[i].tolist()) for name, i in self._bodies.items()},
            joints={name: float(data.qpos[i]) for name, i in self._joints.items()},
        )
