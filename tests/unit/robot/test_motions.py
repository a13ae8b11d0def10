"""Motions in one signal: laws that hold for every signal."""

from itertools import pairwise

import numpy as np
import pytest

from kairoscope.robot.columns import Floats
from kairoscope.robot.motions import legs, motions_in, noise_of, without_spikes

FPS = 30.0


def played(*steps: tuple[float, float, float], seconds: float = 10.0) -> tuple[Floats, Floats]:
    """(signal, times) that moves by `amount` from `start_s` on, within `lasting_s`, each smoothly."""
    times_s = np.arange(0.0, seconds, 1 / FPS)
    signal = np.zeros(len(times_s))
    for start_s, lasting_s, amount in steps:
        u = np.clip((times_s - start_s) / lasting_s, 0.0, 1.0)
        signal += amount * u * u * (3.0 - 2.0 * u)
    return signal, times_s


def test_a_motion_lies_where_it_was_made() -> None:
    signal, times_s = played((2.0, 0.6, 1.0), (6.0, 0.4, -0.5))
    up, down = motions_in(signal, times_s)
    assert (times_s[up.start], times_s[up.end]) == pytest.approx((2.0, 2.6), abs=0.11)
    assert (times_s[down.start], times_s[down.end]) == pytest.approx((6.0, 6.4), abs=0.11)
    assert up.travel == pytest.approx(1.0, abs=0.05)
    assert down.travel == pytest.approx(-0.5, abs=0.05)
    assert up.start <= up.settled <= up.end


@pytest.mark.parametrize("seed", range(5))
def test_turning_a_signal_upside_down_turns_its_motions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.uniform(0.5, 9.0, 4))
    signal, times_s = played(*((s, rng.uniform(0.2, 0.8), rng.normal()) for s in starts))
    signal = signal + 0.01 * rng.normal(size=len(signal))
    ups, downs = motions_in(signal, times_s), motions_in(-signal, times_s)
    assert [(m.start, m.end, m.settled) for m in ups] == [
        (m.start, m.end, m.settled) for m in downs
    ]
    assert [m.travel for m in ups] == pytest.approx([-m.travel for m in downs])


@pytest.mark.parametrize("seed", range(5))
def test_motions_are_in_order_and_do_not_overlap(seed: int) -> None:
    signal = np.cumsum(np.random.default_rng(seed).normal(size=600)) / 20.0
    found = motions_in(signal, np.arange(600) / FPS)
    assert found
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(m.start < m.end for m in found)


def test_noise_glitches_and_slow_drift_are_no_motions() -> None:
    rng = np.random.default_rng(0)
    times_s = np.arange(0.0, 20.0, 1 / FPS)
    noise = 0.02 * rng.normal(size=len(times_s))
    drift = 0.015 * times_s
    glitch = np.zeros(len(times_s))
    glitch[[100, 250, 400]] = 1.0
    assert motions_in(noise + drift + glitch, times_s) == ()


def test_noise_is_measured_whatever_moves() -> None:
    rng = np.random.default_rng(1)
    signal, _ = played((2.0, 0.5, 1.0), (5.0, 0.5, -1.0))
    for size in (0.0, 0.01, 0.05):
        noisy = signal + size * rng.normal(size=len(signal))
        assert noise_of(noisy) == pytest.approx(size, abs=0.005)


def test_legs_join_and_turn_by_turns() -> None:
    rng = np.random.default_rng(2)
    signal = np.cumsum(rng.normal(size=400))
    found = list(legs(signal, 3.0))
    assert all(a[1] == b[0] for a, b in pairwise(found))
    ways = [signal[b] - signal[a] for a, b in found]
    assert all(abs(way) >= 3.0 for way in ways)
    assert all(a * b < 0 for a, b in pairwise(ways))


def test_short_and_constant_signals_have_no_motion() -> None:
    assert motions_in(np.array([0.0, 1.0]), np.array([0.0, 0.1])) == ()
    assert motions_in(np.ones(50), np.arange(50) / FPS) == ()


def test_median_leaves_steps_alone() -> None:
    step = np.repeat([0.0, 1.0], 20)
    assert np.array_equal(without_spikes(step, 5), step)
