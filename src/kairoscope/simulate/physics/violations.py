"""What can be wrong in a clip, and how much of it makes which score. Pure.

Every violation has one measure. A clip of score 5 has none of it; the others have an amount from the
band of their score. Bands do not touch, so no clip lies between two scores.
"""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["gravity", "energy", "teleport", "shape", "penetration", "no_reaction"]
Band = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How much of a violation there is."""

    what: str
    bands: tuple[Band, Band, Band, Band]
    """Amounts of a clip of score 4, 3, 2 and 1."""


VIOLATIONS: Final[dict[Kind, Measure]] = {
    "gravity": Measure(
        what="angle in degrees by which the pull of gravity is turned, from a moment on",
        bands=((18, 28), (45, 60), (85, 105), (150, 180)),
    ),
    "energy": Measure(
        what="energy after an impact (a slide: at the end) over energy before it; at most 1 in nature",
        bands=((1.2, 1.35), (1.7, 2.0), (2.6, 3.0), (4.0, 4.8)),
    ),
    "teleport": Measure(
        what="distance of a jump in no time, in widths of the object",
        bands=((0.5, 0.7), (1.1, 1.4), (1.9, 2.3), (3.0, 3.6)),
    ),
    "shape": Measure(
        what="factor by which the object's width grows, or shrinks, within a quarter of a second",
        bands=((1.2, 1.28), (1.45, 1.6), (1.9, 2.1), (2.5, 2.8)),
    ),
    "penetration": Measure(
        what="depth to which a solid thing goes into another, in its own widths; 2 is right through",
        bands=((0.2, 0.28), (0.45, 0.55), (0.8, 0.95), (2.0, 2.0)),
    ),
    "no_reaction": Measure(
        what="share of the motion due to it that a thing does not get when it is struck",
        bands=((0.3, 0.38), (0.53, 0.6), (0.75, 0.82), (1.0, 1.0)),
    ),
}
FAMILIES: Final[dict[str, tuple[Kind, ...]]] = {
    "fall": ("gravity", "energy", "teleport", "shape", "penetration"),
    "bounce": ("gravity", "energy", "teleport", "shape", "penetration"),
    "slide": ("gravity", "energy", "teleport", "shape", "penetration"),
    "collide": ("no_reaction", "energy", "teleport", "shape", "penetration"),
    "pour": ("gravity", "energy", "teleport", "shape"),
    "stack": ("gravity", "energy", "teleport", "shape", "penetration"),
}
"""Kind of scene -> what can be wrong in it."""
THROUGH: Final = 2.0
"""Depth at which nothing stops a thing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that is wrong in a clip."""

    kind: Kind
    amount: float
    """In the unit of its measure."""
    sign: int
    """1 or -1: which way gravity turns or things jump, and whether they grow or shrink."""


def violation(kind: Kind, score: int, share: float, sign: int) -> Violation | None:
    """The violation of a clip of a score (1 to 5), `share` (0 to 1) of the way through its band."""
    if score == 5:
        return None
    low, high = VIOLATIONS[kind].bands[4 - score]
    return Violation(kind=kind, amount=low + share * (high - low), sign=sign)


def score_of(kind: Kind, amount: float) -> int:
    """The score in whose band an amount lies. Raises ValueError for one that is in none."""
    for place, (low, high) in enumerate(VIOLATIONS[kind].bands):
        if low - 1e-9 <= amount <= high + 1e-9:
            return 4 - place
    raise ValueError(f"{amount} of {kind} is in no band")
