"""What confidences are worth, how they are mended, and what is reviewed first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.calibration import (
    Calibration,
    best_share,
    fit_calibration,
    reliability,
    review_order,
    share_found,
)

SHARES = st.floats(0, 1)
PAIRS = st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=60)


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences that come true exactly as often as they say."""
    rng = np.random.default_rng(seed)
    said = rng.uniform(0.05, 0.98, count)
    return said, rng.uniform(size=count) < said


@given(pairs=PAIRS, equal=st.booleans())
def test_bins_hold_every_boundary_once_and_errors_are_shares(
    pairs: list[tuple[float, bool]],
    *,
    equal: bool,
) -> None:
    found = reliability([p for p, _ in pairs], [hit for _, hit in pairs], equal_counts=equal)
    assert sum(b.count for b in found.bins) == found.count == len(pairs)
    assert 0 <= found.error <= 1
    assert 0 <= found.brier <= 1
    confidences = [b.confidence for b in found.bins]
    assert confidences == sorted(confidences)


def test_the_error_of_a_constant_confidence_is_its_distance_from_the_truth() -> None:
    found = reliability([0.9] * 10, [True] * 6 + [False] * 4)
    assert found.error == pytest.approx(0.3)
    assert reliability([1.0, 0.0], [True, False]).error == 0


def test_calibrated_confidences_show_little_error_and_are_left_alone() -> None:
    said, came = drawn(20_000)
    assert reliability(said, came).error < 0.015
    fitted = fit_calibration(said, came)
    assert fitted.slope == pytest.approx(1.0, abs=0.05)
    assert fitted.offset == pytest.approx(0.0, abs=0.05)
    assert Calibration()(0.123) == 0.123


@pytest.mark.parametrize(("slope", "offset"), [(0.4, -0.5), (2.0, 0.3)])
def test_a_distortion_is_undone_on_data_that_it_was_not_fitted_on(
    slope: float, offset: float
) -> None:
    distort = Calibration(slope, offset)
    fitted = fit_calibration(*(distort.all(drawn(8000)[0]), drawn(8000)[1]))
    said, came = drawn(8000, seed=1)
    before, after = (
        reliability(p, came) for p in (distort.all(said), fitted.all(distort.all(said)))
    )
    assert after.error < 0.02 < before.error
    assert after.brier < before.brier


@settings(deadline=None)
@given(pairs=PAIRS, some=st.lists(SHARES, min_size=2, max_size=20))
def test_mending_keeps_the_order_and_stays_between_0_and_1(
    pairs: list[tuple[float, bool]], some: list[float]
) -> None:
    fitted = fit_calibration([p for p, _ in pairs], [hit for _, hit in pairs])
    mended = fitted.all(sorted(some))
    assert (np.diff(mended) >= 0).all()
    assert ((mended >= 0) & (mended <= 1)).all()


def test_a_few_unanimous_outcomes_do_not_make_certainty() -> None:
    fitted = fit_calibration([0.6, 0.7, 0.8], [True, True, True])
    assert 0.7 < fitted(0.7) < 0.97


def test_no_or_mismatched_outcomes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        reliability([], [])
    with pytest.raises(ValueError, match="one each"):
        fit_calibration([0.5], [True, False])
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability([1.2], [True])


def test_the_most_doubtful_come_first_and_unknown_ones_before_all() -> None:
    assert review_order([0.1, 0.9, float("nan"), 0.9]) == (2, 1, 3, 0)


ERRORS = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 100)), min_size=1, max_size=40)


@given(errors=ERRORS, order=st.randoms(), reviewed=SHARES)
def test_no_order_finds_more_than_the_best_and_everything_is_found_in_the_end(
    errors: list[float], order: object, reviewed: float
) -> None:
    places = list(range(len(errors)))
    order.shuffle(places)  # type: ignore[attr-defined]
    found = share_found(errors, places, reviewed)
    assert -1e-9 <= found <= best_share(errors, reviewed) + 1e-9
    assert best_share(errors, reviewed) >= reviewed - 1e-9
    assert share_found(errors, places, 1.0) == pytest.approx(1.0)


def test_a_random_order_finds_the_share_that_is_reviewed() -> None:
    rng = np.random.default_rng(0)
    errors = rng.exponential(size=50)
    shares = [share_found(errors, rng.permutation(50).tolist()) for _ in range(2000)]
    assert np.mean(shares) == pytest.approx(0.2, abs=0.01)


def test_an_order_that_leaves_something_out_is_refused() -> None:
    with pytest.raises(ValueError, match="every place once"):
        share_found([1.0, 2.0], [0, 0])
