"""What is known without looking."""

import pytest

from kairoscope.events import Event
from kairoscope.prior import Demonstration, leave_one_out, median_events

QUERY = ("grasp", "release")


def demo(
    name: str, first: float, second: float, *, group: str = "", duration_s: float | None = None,
    start_s: float | None = 0.0, scenario: str = "stack",
) -> Demonstration:  # fmt: skip
    return Demonstration(
        id=name,
        group=group or name,
        scenario=scenario,
        query=QUERY,
        gold=(Event("grasp", start_s, first), Event("release", None, second)),
        duration_s=duration_s,
    )


def test_the_prior_of_a_clip_is_the_median_of_the_others() -> None:
    priors = leave_one_out([demo("a", 1, 2), demo("b", 2, 5), demo("c", 3, 9)])
    assert priors["a"] == (Event("grasp", 0.0, 2.5), Event("release", None, 7.0))
    assert priors["b"] == (Event("grasp", 0.0, 2.0), Event("release", None, 5.5))


def test_a_clip_of_the_same_recording_is_not_another() -> None:
    priors = leave_one_out(
        [demo("a", 1, 2, group="g"), demo("b", 1, 2, group="g"), demo("c", 3, 9)]
    )
    assert priors["a"] == priors["b"] == (Event("grasp", 0.0, 3.0), Event("release", None, 9.0))


def test_scenarios_and_queries_are_kept_apart_and_one_alone_has_no_prior() -> None:
    priors = leave_one_out([demo("a", 1, 2), demo("b", 1, 2, scenario="pour")])
    assert priors == {"a": None, "b": None}


def test_the_relative_prior_follows_the_duration() -> None:
    demos = [demo("a", 1, 2, duration_s=4), demo("b", 2, 4, duration_s=8), demo("c", 1, 3)]
    priors = leave_one_out(demos, "relative")
    assert priors["a"] == (Event("grasp", 0.0, 1.0), Event("release", None, 2.0))
    assert priors["b"] == (Event("grasp", 0.0, 2.0), Event("release", None, 4.0))
    assert priors["c"] is None


def test_one_to_three_demonstrations_are_enough_for_a_guess() -> None:
    (only,) = (median_events(QUERY, [demo("a", 1, 2)]),)
    assert [event.end_s for event in only] == [1, 2]
    assert [event.number for event in only] == [1, 2]
    scaled = median_events(QUERY, [demo("a", 1, 2, duration_s=4)], duration_s=12)
    assert [event.end_s for event in scaled] == pytest.approx([3, 6])
    assert median_events(QUERY, []) == ()


def test_a_start_stays_before_its_end_where_only_some_starts_are_known() -> None:
    demos = [
        demo("a", 5, 6, start_s=4.0),
        demo("b", 1, 2, start_s=None),
        demo("c", 1, 2, start_s=None),
    ]
    (first, _) = median_events(QUERY, demos)
    assert (first.start_s, first.end_s) == (1, 1)
