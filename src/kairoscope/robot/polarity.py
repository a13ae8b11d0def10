"""Which way a hand closes: the signal of one hand goes up, or down. Pure.

A file seldom says it, and conventions contradict each other: robosuite closes upwards, Isaac Lab
downwards, widths shrink, joint angles grow. What a hand does says it.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from kairoscope.robot.arm_speed import STANDS, way_of
from kairoscope.robot.columns import frame_step_s, smoothed
from kairoscope.robot.gripper import Reason
from kairoscope.robot.gripper_evidence import Look, holding
from kairoscope.robot.holds import AT_ONCE, LEAST_WAY, arm_at_end, arm_at_start, clipped

OPEN_WORDS = re.compile(r"open|width|aperture|distance")
CLOSED_WORDS = re.compile(r"clos|grasp|squeez|force")


UNDONE_S = 0.5
MOST_FROM_OTHER = 4.0
"""Log-odds from the other hand, which hardly ever reads the other way round."""
FOLLOWS = 0.1
"""Of its range: fingers that are nearer than this to what they are told follow it."""


def polarity_reasons(words: str, looks: Sequence[Look]) -> tuple[Reason, ...]:
    """Evidence that a hand closes while its signal rises; negative: while it falls.

    Args:
        words: what the file says about the columns.
        looks: of every episode in which the hand moves.
    """
    found: list[Reason] = []

    def add(log_odds: float, up: str, down: str) -> None:
        if abs(log_odds) >= 0.05:
            text = up if log_odds > 0 else down
            found.append(Reason(log_odds=round(float(log_odds), 2), text=text))

    lower = words.lower()
    named = bool(CLOSED_WORDS.search(lower)) - bool(OPEN_WORDS.search(lower))
    add(1.5 * named, "its name says so", "its name says so")
    add(blocked(looks), "it stops short of high commands", "it stops short of low commands")
    lead = [holding(look, upwards=True) - holding(look, upwards=False) for look in looks]
    text = "then the arm carries something while it is closed, and stands still at both ends"
    add(clipped(0.6 * sum(clipped(x, -3.0, 3.0) for x in lead), -5.0, 5.0), text, text)
    add(begins_open(looks), "then episodes begin open", "then episodes begin open")
    text = "then the first thing that it does where the arm stands still is to close"
    # A habit of one robot, and the same in all of its episodes: some open wide beside the thing first.
    add(clipped(0.4 * sum(map(first_rises, looks)), -1.0, 1.0), text, text)
    text = "then what it undoes at once are closings"
    add(clipped(0.7 * sum(map(undone, looks)), -3.0, 3.0), text, text)
    text = "then it closes before objects move and opens after"
    add(clipped(1.0 * sum(map(rises_before_objects_move, looks)), -8.0, 8.0), text, text)
    return (*sorted(found, key=lambda reason: -abs(reason.log_odds)),)


def blocked(looks: Sequence[Look]) -> float:
    """Log-odds from the side on which the answer stays away from its command.

    What is between the fingers keeps them from closing as far as they are told.
    """
    sides = []
    for look in looks:
        if look.gap_T is not None:
            step_s = frame_step_s(look.times_s)
            steady = smoothed(look.gap_T, 0.5 / step_s)
            sides.append(float(np.quantile(steady, 0.95) + np.quantile(steady, 0.05)))
    if not sides:
        return 0.0
    mean = float(np.mean(sides))
    beyond = max(0.0, abs(mean) - FOLLOWS) * (1.0 if mean > 0 else -1.0)
    return clipped(8.0 * beyond * np.sqrt(len(sides)), -3.0, 3.0)


def begins_open(looks: Sequence[Look]) -> float:
    """Log-odds from the level at the first frames: most demonstrations begin with an open hand.

    Commands of two values do so nearly always; fingers that follow a person's hand often begin
    half closed, at rest.
    """
    levels = [float(np.median(look.signal_T[: max(1, len(look.signal_T) // 50)])) for look in looks]
    two_valued = float(np.mean([look.two_valued for look in looks])) > 0.5
    return (1.5 if two_valued else 0.5) * (1.0 - 2.0 * clipped(float(np.mean(levels)), 0.0, 1.0))


def first_rises(look: Look) -> float:
    """-1 to 1: whether the first motion of the hand at which the arm stands still goes up.

    A hand may open while the arm sets out; where the arm first stops for it, it takes something.
    """
    way = way_of(look.body_T, look.times_s)
    total, not_yet = 0.0, 1.0
    if way[-1] < LEAST_WAY:
        return 0.0
    for motion in look.motions:
        if way[motion.end] < AT_ONCE * way[-1]:
            continue
        at = (arm_at_end if motion.travel > 0 else arm_at_start)(motion, look.times_s, look.body_T)
        other = (arm_at_start if motion.travel > 0 else arm_at_end)(
            motion, look.times_s, look.body_T
        )
        share = 1.0 / (1.0 + (max(at, other) / STANDS) ** 4)
        total += not_yet * share * (1.0 if motion.travel > 0 else -1.0)
        not_yet *= 1.0 - share
    return total


def undone(look: Look) -> float:
    """How many more motions upwards than downwards are undone within half a second.

    A hand that closes by mistake, or beside the thing, opens again; one that opens has let go.
    """
    total = 0.0
    for first, second in pairwise(look.motions):
        rests_s = look.times_s[second.start] - look.times_s[first.end]
        alike = abs(first.travel + second.travel) < 0.25 * abs(first.travel)
        if rests_s < UNDONE_S and alike:
            total += 1.0 if first.travel > 0 else -1.0
    return total


def rises_before_objects_move(look: Look) -> int:
    """How many more objects set out after a motion upwards, or stop before one downwards.

    What moves an object has closed before, and opens after it has come to rest.
    """
    if look.moved_T is None or not len(look.motions):
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate(([0.0], look.moved_T, [0.0]))))
    total = 0
    for first, last in zip(edges[::2], edges[1::2] - 1, strict=True):
        before = [m for m in look.motions if (m.start + m.end) // 2 <= first]
        after = [m for m in look.motions if (m.start + m.end) // 2 > last]
        total += (1 if before[-1].travel > 0 else -1) if before else 0
        total += (1 if after[0].travel < 0 else -1) if after else 0
    return total


def combined(
    own: Mapping[int, Sequence[Reason]], alike: Mapping[int, Sequence[int]]
) -> dict[int, tuple[Reason, ...]]:
    """Evidence of every hand, and that of other hands whose columns read alike."""
    sums = {key: sum(reason.log_odds for reason in reasons) for key, reasons in own.items()}
    result: dict[int, tuple[Reason, ...]] = {}
    for key, reasons in own.items():
        others = [sums[other] for other in alike.get(key, ())]
        share = clipped(sum(others), -MOST_FROM_OTHER, MOST_FROM_OTHER)
        extra = Reason(log_odds=round(share, 2), text="the other hand, with the same values, does")
        result[key] = (*reasons, extra) if others else tuple(reasons)
    return result
