"""Whether columns are a gripper: every piece of evidence as log-odds, and in words. Pure.

No piece of evidence knows a robot, a unit or a scale. Weights are the same for every dataset;
they were set by judgement, looked at on synthetic robots and a handful of real ones.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kairoscope.robot.column_groups import Group
from kairoscope.robot.gripper import Reason
from kairoscope.robot.gripper_evidence import Look, gap_spread, holding
from kairoscope.robot.holds import clipped
from kairoscope.robot.unit import Unit

PRIOR = -3.0
"""Most columns are not grippers."""
HAND_WORDS = re.compile(r"grip|jaw|finger|hand|thumb|pinky|claw|suction|\bee_?width|opening")
RATE_WORDS = re.compile(r"vel(?:ocity|ocities)?\b|qvel|effort|torque|current|force")
OTHER_WORDS = re.compile(
    r"shoulder|elbow|wrist|waist|forearm|upper_?arm|hip|knee|ankle|neck|torso|head\b|leg\b|arm_joint"
    r"|base|reward|done|success|time|index|eef|quat|pos_?[xyz]\b"
    r"|roll|pitch|yaw|rotate"
)
MOST_FINGERS = 0.6
"""Of the moving columns of a channel: when more move as one, they are the arm."""
ALIKE_WIDTH = 3.0
"""Fingers of one hand have ranges that differ by no more than this factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of columns beside what they do."""

    words: str
    """What the file calls them."""
    named_by_format: bool
    """Whether the format itself says that they are a gripper."""
    place: str
    """`last`, `last of a half` of their channel, or empty."""
    breadth: float
    """How far they move, in shares of what most of their channel's columns do."""
    crowd: float
    """Share of their channel's moving columns that they are."""
    others_rest: float
    """Share of the time at which columns rest: median of those that move at all."""
    others_with_body: float
    """Speed of the body while they move, in shares of its mean: median of the same."""


def reasons_for(unit: Unit, around: Surroundings, looks: Sequence[Look]) -> tuple[Reason, ...]:
    """Every piece of evidence that applies, strongest first.

    Args:
        unit: the columns in question.
        around: what is known of them beside what they do.
        looks: one for each episode in which they move; at least one.
    """
    found = [
        (PRIOR, "most columns are not grippers"),
        *_from_names(around),
        *_from_build(unit, around),
        *_from_command(looks),
        *_from_motion(around, looks),
    ]
    reasons = [
        Reason(log_odds=round(float(log_odds), 2), text=text)
        for log_odds, text in found
        if abs(log_odds) >= 0.05
    ]
    return (*sorted(reasons, key=lambda reason: -abs(reason.log_odds)),)


Evidence = list[tuple[float, str]]


def _from_names(around: Surroundings) -> Evidence:
    found: Evidence = []
    lower = around.words.lower()
    short = around.words if len(around.words) <= 60 else f"{around.words[:57]}..."
    if around.named_by_format:
        found.append((5.0, "the format says that it is one"))
    if RATE_WORDS.search(lower):
        found.append((-5.0, f"its name speaks of a speed or a force ({short})"))
    elif HAND_WORDS.search(lower):
        found.append((4.0, f"its name speaks of a hand ({short})"))
    elif OTHER_WORDS.search(lower):
        found.append((-3.0, f"its name speaks of something else ({short})"))
    return found


def _from_build(unit: Unit, around: Surroundings) -> Evidence:
    found: Evidence = []
    size = len(unit.main.columns)
    if size > 1 and around.crowd <= MOST_FINGERS and are_fingers(unit.main):
        worth = {2: 0.3, 3: 1.5}.get(size, 3.0)
        found.append((worth, f"{size} neighbouring columns move as one"))
    if around.place:
        found.append((0.8, f"it is the {around.place} of its channel"))
    if around.breadth < 1.0:
        worth = clipped(0.8 * float(np.log10(around.breadth)), -1.5, 0.0)
        found.append((worth, "it moves less than its neighbours"))
    return found


def _from_command(looks: Sequence[Look]) -> Evidence:
    found: Evidence = []
    if np.mean([look.two_valued for look in looks]) > 0.5:
        found.append((4.0, "its command knows two values"))
    gaps = [gap for gap in map(gap_spread, looks) if gap is not None]
    if gaps:
        gap = float(np.quantile(gaps, 0.75))
        obeys = float(np.mean([look.obeys for look in looks]))
        # A joint that idles does not even follow its command when it moves.
        worth = clipped((obeys - 0.55) / 0.25, 0.0, 1.0)
        text = f"it misses its command by amounts that differ by {gap:.0%} of its range"
        found.append((clipped(15.0 * (gap - 0.1), -0.5, 4.0) * worth, text))
    return found


def _from_motion(around: Surroundings, looks: Sequence[Look]) -> Evidence:
    rest = float(np.mean([look.resting for look in looks]))
    with_body = float(np.mean([look.with_body for look in looks]))
    in_step = float(np.mean([look.in_step for look in looks]))
    aimless = float(np.mean([look.aimless for look in looks]))
    best = [max(holding(look, upwards=upwards) for upwards in (True, False)) for look in looks]
    alone = 2.0 * float(np.log2(around.others_with_body / max(with_body, 0.05)))
    return [
        (clipped(3.0 * (rest - around.others_rest), -1.5, 1.5), f"it rests {rest:.0%} of the time"),
        (
            clipped(alone, -2.0, 4.0),
            f"while it moves the rest moves at {with_body:.1f} times its usual pace",
        ),
        (
            clipped(5.0 * (0.4 - in_step), -3.0, 1.0),
            f"its speed follows the rest's with a correlation of {in_step:.2f}",
        ),
        (
            clipped(float(np.mean(best)) / 2.0 - 1.0, -1.5, 1.5),
            "its moves look like holding something",
        ),
        (
            clipped(4.0 * (0.4 - aimless), -2.5, 0.0),
            f"{aimless:.0%} of what it moves leads nowhere",
        ),
    ]


def are_fingers(group: Group) -> bool:
    """Whether columns that move as one stand together, go one way and about as far.

    Fingers do so, joints of an arm hardly ever.
    Of four or more one may be different, such as a thumb; two may be the sides of a parallel jaw.
    """
    first, last = group.columns[0].index, group.columns[-1].index
    if last - first + 1 > len(group.columns):
        return False
    widths = sorted(np.array(group.high) - np.array(group.low))
    ups = sum(sign > 0 for sign in group.signs)
    odd = min(ups, len(group.signs) - ups)
    if len(widths) == 2:
        return bool(widths[1] <= ALIKE_WIDTH * widths[0])
    spare = 1 if len(widths) >= 4 else 0
    least = widths[spare]
    return odd <= spare and bool(widths[-1] <= ALIKE_WIDTH * least)
