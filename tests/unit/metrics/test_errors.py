"""Errors of one answer, boundary by boundary."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.core import Unparsed
from kairoscope.events import Event, Events
from kairoscope.metrics import answer_scores, event_errors
from kairoscope.metrics.errors import tiou, worst_error_s

QUERY = ("grasp", "release")
GOLD = (Event("grasp", 0.5, 2.0), Event("release", 2.0, 3.0))
NOTHING = Unparsed("nothing")


def test_an_end_is_measured_against_the_time_since_the_end_before_it() -> None:
    first, second = event_errors(
        (Event("grasp", 0.5, 2.5), Event("release", 2.5, 3.5)), GOLD, QUERY, 4
    )
    assert (first.end.error_s, first.end.interval_s) == (0.5, 2.0)
    assert (second.end.error_s, second.end.interval_s) == (0.5, 1.0)
    assert first.end.relative_percent == 25
    assert second.end.relative_percent == 50


def test_a_start_is_measured_against_the_start_before_it_and_the_first_against_its_event() -> None:
    first, second = event_errors(
        (Event("grasp", 0.8, 2.0), Event("release", 1.7, 3.0)), GOLD, QUERY, 4
    )
    assert first.start is not None
    assert second.start is not None
    assert first.start.error_s == second.start.error_s == pytest.approx(0.3)
    assert first.start.interval_s == second.start.interval_s == 1.5


def test_starts_that_the_truth_does_not_give_are_not_scored_but_bound_the_interval() -> None:
    ends_only = (Event("grasp", None, 2.0), Event("release", None, 3.0))
    errors = event_errors(
        (Event("grasp", 0.0, 2.0), Event("release", 2.5, 3.0)), ends_only, QUERY, 4
    )
    assert [e.start for e in errors] == [None, None]
    assert [e.tiou for e in errors] == [1.0, 0.5]


def test_an_answer_that_is_missing_has_the_largest_error_possible_in_the_clip() -> None:
    for answer in (NOTHING, ()):
        errors = event_errors(answer, GOLD, QUERY, 7.0)
        assert [e.end.error_s for e in errors] == [5.0, 4.0]
        assert [e.start.error_s for e in errors if e.start] == [6.5, 5.0]
        assert [e.end.answered_error_s for e in errors] == [None, None]
        assert not any(e.answered or e.named or e.hit or e.tiou for e in errors)
    only_second = event_errors((Event("release", 2.0, 3.0),), GOLD, QUERY, 7.0)
    assert [e.end.error_s for e in only_second] == [5.0, 0.0]
    assert [e.answered for e in only_second] == [False, True]


def test_an_answer_past_the_end_of_the_clip_counts_as_the_worst_inside_it() -> None:
    far = (Event("grasp", 0.5, 100.0),)
    (first, _) = event_errors(far, GOLD, QUERY, 7.0)
    assert (first.end.error_s, first.end.answered_error_s) == (5.0, 98.0)
    (first, _) = event_errors(far, GOLD, QUERY, None)
    assert (first.end.error_s, first.end.answered_error_s) == (98.0, 98.0)


def test_without_a_duration_the_last_true_time_stands_for_it() -> None:
    for duration_s in (None, 0.0, 1.0):
        assert [e.end.error_s for e in event_errors(NOTHING, GOLD, QUERY, duration_s)] == [2.0, 3.0]


def test_a_wrong_name_is_answered_but_not_named() -> None:
    (first, second) = event_errors(
        (Event("push", 0.5, 2.0, number=1), Event("The RELEASE.", 2.0, 3.0)), GOLD, QUERY, 4
    )
    assert (first.end.error_s, first.answered, first.named) == (0.0, True, False)
    assert (second.end.error_s, second.answered, second.named) == (0.0, True, True)


def test_a_hit_is_an_end_within_thirty_percent_of_the_events_length() -> None:
    hits = [
        event_errors((Event("grasp", 0.5, t),), GOLD, QUERY, 4)[0].hit for t in (1.6, 2.44, 2.46)
    ]
    assert hits == [True, True, False]


def test_boundaries_without_an_interval_are_left_out_of_the_relative_error() -> None:
    gold = (Event("grasp", 0.0, 0.0), Event("release", 0.0, 2.0))
    errors = event_errors((Event("grasp", 0.0, 1.0), Event("release", 0.0, 1.0)), gold, QUERY, 4)
    assert errors[0].end.relative_percent is None
    assert answer_scores(errors)["mre_percent"] == 50
    assert answer_scores(errors)["mae_s"] == 1


def test_a_start_that_was_not_said_is_the_end_before_it() -> None:
    answer = (Event("grasp", None, 2.0), Event("release", None, 3.0))
    errors = event_errors(answer, GOLD, QUERY, 4)
    assert [e.start.error_s for e in errors if e.start] == [0.5, 0.0]
    backwards = (Event("grasp", None, 2.0), Event("release", None, 1.0))
    assert all(0 <= e.tiou <= 1 for e in event_errors(backwards, GOLD, QUERY, 4))


def test_truth_that_was_not_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="not all in"):
        event_errors(NOTHING, (*GOLD, Event("push", None, 4.0)), QUERY, 5)
    with pytest.raises(ValueError, match="no ground-truth event"):
        answer_scores(())


@pytest.mark.parametrize(
    ("a", "b", "value"),
    [
        ((0, 2), (1, 3), 1 / 3),
        ((0, 1), (2, 3), 0),
        ((0, 1), (1, 2), 0),
        ((1, 1), (1, 1), 1),
        ((1, 1), (0, 2), 0),
        ((0, 4), (1, 2), 0.25),
    ],
)
def test_tiou(a: tuple[float, float], b: tuple[float, float], value: float) -> None:
    assert tiou(a, b) == pytest.approx(value)
    assert tiou(b, a) == pytest.approx(value)


@given(
    st.lists(st.floats(0.1, 9), min_size=2, max_size=2, unique=True).map(sorted),
    st.lists(st.floats(0, 30), min_size=4, max_size=4),
    st.floats(9, 12),
)
@settings(max_examples=200, deadline=None)
def test_no_answer_scores_better_than_the_truth_or_worse_than_none(
    ends: list[float], times: list[float], duration_s: float
) -> None:
    gold: Events = (Event("grasp", None, ends[0]), Event("release", None, ends[1]))
    a, b, c, d = times
    answer = (Event("grasp", min(a, b), max(a, b)), Event("release", min(c, d), max(c, d)))
    best, given_scores, worst = (
        answer_scores(event_errors(x, gold, QUERY, duration_s)) for x in (gold, answer, NOTHING)
    )
    for key in ("mae_s", "mre_percent"):
        assert best[key] == 0 <= given_scores[key] <= worst[key] < math.inf
    for key in ("tiou", "hit", "events_found"):
        assert best[key] == 1 >= given_scores[key] >= worst[key] == 0


@given(st.floats(0, 10), st.floats(0, 10))
def test_the_worst_error_is_that_of_the_farther_end_of_the_clip(
    truth_s: float, time_s: float
) -> None:
    assert abs(time_s - truth_s) <= worst_error_s(truth_s, 10)
    assert worst_error_s(truth_s, 10) in (abs(truth_s), abs(10 - truth_s))
