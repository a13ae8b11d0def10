"""Which closing a hold begins with, where fingers close more than once before they open."""

import numpy as np

from kairoscope.robot.holds import holds_of
from kairoscope.robot.motions import motions_in

TIMES_S = np.arange(0, 12, 0.05)
STILL_T = np.zeros(len(TIMES_S))


def closedness(*steps: tuple[float, float]) -> np.ndarray:
    """Fingers that go to a value within a quarter second from a moment on."""
    knots = [(0.0, 0.0)]
    for at_s, value in steps:
        knots += [(at_s, knots[-1][1]), (at_s + 0.25, value)]
    at_s, values = np.array(knots).T
    return np.asarray(np.interp(TIMES_S, at_s, values))


def begins_at_s(value_T: np.ndarray, told: list[bool] | None) -> float:
    motions = motions_in(value_T, TIMES_S)
    [hold] = holds_of(motions, TIMES_S, STILL_T, told)
    assert hold.closing is not None
    return float(TIMES_S[hold.closing.start])


def test_a_thing_that_slips_out_does_not_begin_the_hold_again() -> None:
    """A nut on its peg: the fingers close on it by a third, and later by half, when it has gone."""
    slipped = closedness((3.0, 0.3), (8.0, 0.85), (10.0, 0.0))
    assert abs(begins_at_s(slipped, [True, False, True]) - 3.0) < 0.2


def test_a_hand_that_narrows_on_the_way_begins_with_the_greater_closing() -> None:
    narrowed = closedness((2.0, 0.3), (5.0, 0.85), (10.0, 0.0))
    assert abs(begins_at_s(narrowed, [True, True, True]) - 5.0) < 0.2
    assert abs(begins_at_s(narrowed, None) - 5.0) < 0.2
