"""Frames of a video between recorded states: what they show, and when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.render.timing import configurations, num_frames, places

RATES = st.sampled_from([5.0, 10.0, 12.5, 15.0, 20.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0])


@given(st.integers(2, 500), RATES, RATES)
def test_frames_lie_within_the_recording_at_their_own_times(
    num_states: int, recorded: float, fps: float
) -> None:
    shown = places(num_states, recorded, fps)
    assert len(shown) == num_frames(num_states, recorded, fps)
    assert shown[0] == 0
    assert shown.max() <= num_states - 1
    times_s = np.arange(len(shown)) / fps
    np.testing.assert_allclose(shown / recorded, times_s, atol=1e-6)
    assert (num_states - 1) / recorded - times_s[-1] < 1 / fps + 1e-6


@given(st.integers(2, 200), RATES, RATES, st.data())
def test_a_boundary_is_seen_from_its_time_on_and_not_before(
    num_states: int, recorded: float, fps: float, data: st.DataObject
) -> None:
    end = data.draw(st.integers(1, num_states - 1))
    shown = places(num_states, recorded, fps)
    times_s = np.arange(len(shown)) / fps
    after = times_s >= end / recorded - 1e-9
    assert (shown[after] >= end).all()
    assert (shown[~after] < end).all()


def test_twenty_states_a_second_at_thirty_frames() -> None:
    np.testing.assert_allclose(places(5, 20.0, 30.0), [0, 2 / 3, 4 / 3, 2, 8 / 3, 10 / 3, 4])


@given(st.integers(2, 30), st.integers(0, 2**31))
def test_equal_rates_show_the_states_themselves(num_states: int, seed: int) -> None:
    qpos = np.random.default_rng(seed).normal(size=(num_states, 9))
    np.testing.assert_array_equal(configurations(qpos, places(num_states, 20, 20), [3]), qpos)


def test_rotations_take_the_shorter_arc_and_stay_unit() -> None:
    def turn(angle: float) -> list[float]:
        return [np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]

    qpos = np.array([turn(0.2), [-x for x in turn(0.6)], turn(0.6)])
    shown = configurations(qpos, np.array([0, 0.5, 1, 1.5, 2]), [0])
    np.testing.assert_allclose(shown[1], turn(0.4), atol=1e-12)
    np.testing.assert_array_equal(shown[2], qpos[1])
    assert abs(shown[3] @ turn(0.6)) == pytest.approx(1)
    np.testing.assert_allclose(np.linalg.norm(shown, axis=1), 1)


def test_positions_between_states_are_between_them() -> None:
    qpos = np.array([[0.0, 10.0], [1.0, 20.0]])
    np.testing.assert_allclose(configurations(qpos, np.array([0.25]), []), [[0.25, 12.5]])
