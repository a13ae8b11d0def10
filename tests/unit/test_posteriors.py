"""From a distribution over frames to a moment, an interval and a confidence."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.posteriors import CONFIDENT_WITHIN_S, confidence, mass_before, quantile_s

Distribution = tuple[list[float], list[float]]


@st.composite
def distributions(draw: st.DrawFn) -> Distribution:
    """Rising frame times from 0 and probabilities that sum to one; some may be nothing."""
    gaps = draw(st.lists(st.floats(0.01, 3), max_size=30))
    times_s = [0.0, *accumulate(gaps)]
    raw = draw(
        st.lists(
            st.one_of(st.just(0.0), st.floats(1e-14, 1)),
            min_size=len(times_s),
            max_size=len(times_s),
        ).filter(any)
    )
    return times_s, [x / sum(raw) for x in raw]


SHARES = st.floats(0, 1)


@given(distributions(), SHARES)
@settings(max_examples=80)
def test_quantile_undoes_mass(distribution: Distribution, share: float) -> None:
    times_s, p = distribution
    moment_s = quantile_s(times_s, p, share)
    assert times_s[0] <= moment_s <= times_s[-1]
    if len(times_s) > 1:
        assert mass_before(times_s, p, moment_s) == pytest.approx(share, abs=1e-6)


@given(distributions(), SHARES, SHARES)
@settings(max_examples=80)
def test_quantiles_and_masses_rise(distribution: Distribution, a: float, b: float) -> None:
    times_s, p = distribution
    low, high = sorted((a, b))
    assert quantile_s(times_s, p, low) <= quantile_s(times_s, p, high) + 1e-9
    span = times_s[-1] * 1.2 - 0.1
    early, late = low * span, high * span
    assert -1e-12 <= mass_before(times_s, p, early) <= mass_before(times_s, p, late) + 1e-12 <= 1.1


@given(distributions())
@settings(max_examples=80)
def test_the_median_is_in_the_cell_of_the_median_frame(distribution: Distribution) -> None:
    """Never further from it than half a step to its neighbour."""
    times_s, p = distribution
    on_grid = next(i for i, total in enumerate(accumulate(p)) if total >= 0.5 - 1e-12)
    before = (times_s[on_grid] - times_s[on_grid - 1]) / 2 if on_grid else 0.0
    after = (times_s[on_grid + 1] - times_s[on_grid]) / 2 if on_grid + 1 < len(times_s) else 0.0
    offset = quantile_s(times_s, p, 0.5) - times_s[on_grid]
    assert -before - 1e-9 <= offset <= after + 1e-9


@given(distributions(), SHARES)
@settings(max_examples=80)
def test_confidence_is_the_mass_around_a_moment(distribution: Distribution, share: float) -> None:
    times_s, p = distribution
    moment_s = share * times_s[-1]
    value = confidence(times_s, p, moment_s)
    assert 0 <= value <= 1
    outside = mass_before(times_s, p, moment_s - CONFIDENT_WITHIN_S)
    outside += 1 - mass_before(times_s, p, moment_s + CONFIDENT_WITHIN_S)
    assert value == pytest.approx(1 - outside, abs=1e-9)
    if times_s[-1] < CONFIDENT_WITHIN_S:
        assert value == pytest.approx(1.0)


@given(st.integers(0, 9), st.floats(0.05, 2))
def test_a_sure_model_is_confident_as_far_as_its_frames_allow(frame: int, gap: float) -> None:
    times_s = [i * gap for i in range(10)]
    p = [float(i == frame) for i in range(10)]
    moment_s = quantile_s(times_s, p, 0.5)
    cell = gap if 0 < frame < 9 else gap / 2
    assert confidence(times_s, p, moment_s) == pytest.approx(
        min(1.0, 2 * CONFIDENT_WITHIN_S / cell)
    )
    middle = times_s[frame] if 0 < frame < 9 else times_s[frame] + (gap if not frame else -gap) / 4
    assert moment_s == pytest.approx(middle)


def test_by_hand() -> None:
    """Frames at 0, 1 and 3 s stand for 0 to 0.5, 0.5 to 2 and 2 to 3 s."""
    times_s, p = [0.0, 1.0, 3.0], [0.25, 0.5, 0.25]
    assert [quantile_s(times_s, p, q) for q in (0.0, 0.25, 0.5, 0.75, 0.875, 1.0)] == [
        0.0,
        0.5,
        1.25,
        2.0,
        2.5,
        3.0,
    ]
    assert [mass_before(times_s, p, t) for t in (-1, 0, 0.25, 0.5, 1.25, 3, 9)] == [
        0.0,
        0.0,
        0.125,
        0.25,
        0.5,
        1.0,
        1.0,
    ]
    assert confidence(times_s, p, 1.25) == pytest.approx(0.5 / 1.5 * 0.5)
    assert confidence([2.0], [1.0], 2.0) == 1.0


def test_rounding_does_not_leave_the_cell() -> None:
    """The half lies beyond a cell that holds next to nothing, by less than is told apart."""
    times_s = [0.0, 1.0, 2.0, 3.0]
    p = [0.5 - 2e-12, 1.5e-12, 5e-13, 0.5]
    assert 0.5 <= quantile_s(times_s, p, 0.5) <= 1.5
    assert all(a <= b for a, b in pairwise(quantile_s(times_s, p, i / 50) for i in range(51)))
