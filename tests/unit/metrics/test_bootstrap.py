"""Intervals over demonstrations."""

import numpy as np
import pytest

from kairoscope.metrics.bootstrap import Resamples


def test_the_interval_of_many_independent_clips_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(0).normal(10, 2, size=400)
    interval = Resamples([str(i) for i in range(400)], 4000, 0).mean_interval([*values.tolist()])
    assert interval is not None
    half = 1.96 * values.std() / 20
    assert interval[0] == pytest.approx(values.mean() - half, abs=0.03)
    assert interval[1] == pytest.approx(values.mean() + half, abs=0.03)


def test_clips_of_one_group_count_as_one() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    groups = [str(i) for i in range(6)]
    single = Resamples(groups, 1000, 3).mean_interval([*values])
    repeated = Resamples(groups * 4, 1000, 3).mean_interval([*values] * 4)
    assert repeated == pytest.approx(single)
    apart = Resamples([str(i) for i in range(24)], 1000, 3).mean_interval([*values] * 4)
    assert apart is not None
    assert single is not None
    assert apart[1] - apart[0] < 0.6 * (single[1] - single[0])


def test_the_order_of_clips_does_not_change_the_interval_and_the_seed_does() -> None:
    groups, values = ["a", "b", "c", "c", "d"], [1.0, 5.0, 2.0, None, 9.0]
    interval = Resamples(groups, 500, 0).mean_interval(values)
    assert Resamples(groups[::-1], 500, 0).mean_interval(values[::-1]) == pytest.approx(interval)
    assert Resamples(groups, 500, 0).mean_interval(values) == interval
    assert Resamples(groups, 500, 1).mean_interval(values) != interval


def test_one_demonstration_has_no_interval() -> None:
    assert Resamples(["a", "a"], 100, 0).mean_interval([1.0, 2.0]) is None
    assert Resamples(["a", "b"], 100, 0).mean_interval([1.0, None]) is None
    assert Resamples([], 100, 0).mean_interval([]) is None


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert Resamples(["a", "b", "c"], 100, 0).mean_interval([2.0, 2.0, 2.0]) == [2.0, 2.0]
    assert Resamples(["a", "b", "c"], 100, 0).ratio_interval([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]) == [
        0.5,
        0.5,
    ]


def test_a_ratio_takes_clips_that_have_both_only() -> None:
    resamples = Resamples(["a", "b", "c"], 200, 0)
    assert resamples.ratio_interval([1.0, None, 3.0], [2.0, 4.0, 6.0]) == [0.5, 0.5]
    assert resamples.ratio_interval([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]) is None
