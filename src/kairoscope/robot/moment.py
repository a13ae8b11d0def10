"""A moment of an episode that may be the end of a subtask. Plain data."""

from dataclasses import dataclass
from typing import Literal

from kairoscope.robot.gripper import Arm

MomentKind = Literal["closing", "opening", "contact", "rest", "pause"]
"""`contact`: an object begins to move; `rest`: it has come to rest; `pause`: the arm stands still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that may be the end of a subtask."""

    kind: MomentKind
    start_frame: int
    """First and last frame of the motion in question."""
    end_frame: int
    frame: int
    """The moment itself: fingers, or the object, have come to rest."""
    log_odds: float
    """That it matters: that a hand holds something after it closes or before it opens."""
    reason: str
    """What speaks for and against it, in words."""
    source: str
    """The columns, or the object, that say so."""
    gripper: int | None = None
    """Place of the hand in what `find_grippers` returned."""
    arm: Arm | None = None
    arm_is_named: bool = False
    subject: str | None = None
    """The object that is held or moves, as the file calls it."""
    other_holds: bool = False
    """Whether another hand holds something meanwhile: then an opening may be a handover."""
    carried: bool = False
    """For an object: whether a hand holds something while it moves."""
    is_last: bool = True
    """For an object: whether it moves no more before the hand lets it go, or until the end."""
    goes_on: bool = False
    """For an object: whether its next move before that goes the same way."""
    trust: float = 1.0
    """Probability that the hand is read the right way round, 0.5 to 1: its closings may be
    openings where nothing says which way it closes."""
    arrival: int | None = None
    """For an opening: the frame at which the arm came to the place where it stands then."""
    parted: int | None = None
    """For an opening: the frame at which fingers and the object part, where both are recorded."""
