"""Holds: from a closing of a hand to the opening that ends it, and how likely something was held.

Pure. A hand that closes by mistake opens again at once; one that holds something stays closed,
the arm carries the thing somewhere, and the arm stands nearly still while the hand closes and
opens. Each of these is a summand of the log-odds, from quantities without a unit or in seconds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kairoscope.robot.arm_speed import way_of
from kairoscope.robot.columns import Floats
from kairoscope.robot.motions import Motion

AROUND_S, INSIDE_S = 0.2, 0.1
"""How far outside and inside a motion of the fingers the arm's least speed is looked for."""
LEFT_SHARE = 0.5
"""A hold ends when the hand has gone back by this share of the closing."""
LEAST_FIRST_OPENING = 0.25
"""Of its range: a hand whose first motion opens it by less was not shut before."""

AT_ONCE = 0.06
"""Share of the arm's way: a closing before that is not a grasp that one came for."""
LEAST_WAY = 1.0
"""Way of an arm in an episode, at a brisk pace for so many seconds: less is idling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A closing, and the opening that ends it."""

    closing: Motion | None
    """None: the hand is closed from the first frame."""
    opening: Motion | None
    """None: the hand is still closed at the last frame."""
    log_odds: float
    """That the hand holds something meanwhile."""
    duration_s: float
    carried: float
    """Share of the arm's way in the episode that it goes meanwhile, 0 to 1."""
    arm_at_closing: float
    """Least speed of the arm as the closing ends, 1 at a brisk pace."""
    arm_at_opening: float
    """The same as the opening begins."""


def holds_of(
    motions: Sequence[Motion],
    times_s: Floats,
    body_T: Floats,
    told: Sequence[bool] | None = None,
) -> tuple[Hold, ...]:
    """The holds of one hand in order; motions upwards are closings.

    Args:
        motions: of the hand's closedness, in order.
        times_s: (T,) frame times.
        body_T: (T,) speed of the arm, see `body_speed`.
        told: whether each motion answers a command; None where none is recorded. Fingers that close
            further on what slips from between them were not told to.
    """
    way = way_of(body_T, times_s)
    found: list[Hold] = []
    closing: Motion | None = None
    is_closed = bool(motions) and motions[0].travel <= -LEAST_FIRST_OPENING
    base, peak, was_told = 0.0, 0.0, False
    for motion, is_told in zip(motions, told or [False] * len(motions), strict=True):
        if motion.travel > 0:
            base = min(base, motion.before) if closing is not None else motion.before
            peak = max(peak, motion.after) if closing is not None else motion.after
            # Of several closings in a row the greatest that was asked for is the one that matters.
            if not is_closed or (
                closing is not None and (is_told, motion.travel) > (was_told, closing.travel)
            ):
                closing, was_told = motion, is_told
            is_closed = True
        elif is_closed and (closing is None or motion.after < peak - LEFT_SHARE * (peak - base)):
            found.append(_hold(closing, motion, times_s, body_T, way))
            closing, is_closed = None, False
    if is_closed and closing is not None:
        found.append(_hold(closing, None, times_s, body_T, way))
    return tuple(found)


def _hold(
    closing: Motion | None,
    opening: Motion | None,
    times_s: Floats,
    body_T: Floats,
    way: Floats,
) -> Hold:
    since = 0 if closing is None else closing.end
    until = len(times_s) - 1 if opening is None else opening.start
    duration_s = max(0.0, float(times_s[until] - times_s[since]))
    whole = max(float(way[-1]), LEAST_WAY)
    carried = float(way[until] - way[since]) / whole
    at_closing = 1.0 if closing is None else arm_at_end(closing, times_s, body_T)
    at_opening = 1.0 if opening is None else arm_at_start(opening, times_s, body_T)
    log_odds = 0.5 + lasting(duration_s, is_cut=opening is None)
    if way[-1] >= LEAST_WAY:
        log_odds += carrying(carried, is_cut=opening is None)
        log_odds += 0.0 if closing is None else standing(at_closing)
        log_odds += 0.0 if opening is None else standing(at_opening)
        if closing is not None and way[closing.end] < AT_ONCE * way[-1]:
            log_odds -= 2.5  # no arm has come from anywhere to grasp
        if opening is not None and way[-1] - way[opening.end] < AT_ONCE * way[-1]:
            log_odds -= (
                0.7  # nor does one go away from what was let go; though recordings end there
            )
    elif way[-1] > 0:
        log_odds -= 2.5  # the arm of this hand does nothing all the time
    if closing is None:
        log_odds -= 1.5  # closed from the start: more often a hand at rest than one that holds
    return Hold(
        closing=closing,
        opening=opening,
        log_odds=log_odds,
        duration_s=duration_s,
        carried=carried,
        arm_at_closing=at_closing,
        arm_at_opening=at_opening,
    )


def arm_at_end(motion: Motion, times_s: Floats, body_T: Floats) -> float:
    """Least speed of the arm as a motion of the fingers ends: when a hand has taken something."""
    return _least(body_T, times_s, float(times_s[motion.end]), INSIDE_S, AROUND_S)


def arm_at_start(motion: Motion, times_s: Floats, body_T: Floats) -> float:
    """Least speed of the arm as a motion of the fingers begins: when a hand lets something go."""
    return _least(body_T, times_s, float(times_s[motion.start]), AROUND_S, INSIDE_S)


def _least(body_T: Floats, times_s: Floats, at_s: float, before_s: float, after_s: float) -> float:
    first, last = np.searchsorted(times_s, (at_s - before_s, at_s + after_s))
    return float(body_T[min(first, len(body_T) - 1) : last + 1].min())


def lasting(duration_s: float, *, is_cut: bool) -> float:
    """Log-odds from how long a hold lasts; one cut by the end of the recording may be longer."""
    value = clipped(1.5 * math.log2(max(duration_s, 1e-3)), -3.5, 1.5)
    return max(value, -1.0) if is_cut else value


def carrying(share: float, *, is_cut: bool) -> float:
    """Log-odds from the share of the arm's way that falls in the hold."""
    value = clipped(math.log2(max(share, 1e-6) / 0.1), -3.5, 1.5)
    return max(value, -0.5) if is_cut else value


def standing(speed: float) -> float:
    """Log-odds from the arm's least speed at the end of a closing or the start of an opening."""
    return clipped(1.2 * math.log2(0.4 / max(speed, 1e-6)), -1.5, 1.5)


def clipped(value: float, low: float, high: float) -> float:
    """Limit a number."""
    return min(max(value, low), high)
