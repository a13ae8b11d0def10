"""Events, their names and the grid of times."""

import pytest

from kairoscope.events import (
    Event,
    aligned,
    normalised,
    one_line,
    seconds_text,
    starts_s,
    time_grid,
)

QUERY = ("grasping the red cube", "releasing the red cube", "grasping the green cube")


def test_names_are_compared_without_case_articles_and_punctuation() -> None:
    assert normalised(" Grasping  the RED-cube. ") == normalised("grasping a red cube")
    assert normalised("grasping the red cube") != normalised("grasping the green cube")
    assert normalised("Öffnen\u2009der Ｔür") == "öffnen der tür"
    assert one_line(" a\n b\t c ") == "a b c"


def test_events_go_to_their_number_else_to_the_first_free_place_of_their_name() -> None:
    a, b = Event("wrong", 0, 1, number=3), Event("Grasping the red cube", 0, 1)
    assert aligned((a, b), QUERY) == (b, None, a)
    twice = ("push", "pull", "push")
    first, second = Event("push", 0, 1), Event("push", 2, 3)
    assert aligned((first, second), twice) == (first, None, second)
    assert aligned((first, second, Event("push", 4, 5)), twice) == (first, None, second)
    assert aligned((Event("kick", 0, 1), Event("x", 0, 1, number=9)), QUERY) == (None, None, None)


def test_of_two_events_with_one_number_the_first_stays() -> None:
    first = Event("x", 0, 1, number=1)
    assert aligned((first, Event("y", 2, 3, number=1)), QUERY)[0] is first


def test_a_start_that_is_not_known_is_the_end_before_it() -> None:
    assert starts_s((Event("a", None, 2.0), Event("b", None, 3.0), Event("c", 2.5, 4.0))) == (
        0.0,
        2.0,
        2.5,
    )
    assert starts_s(()) == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2.1, "2.10"),
        (0.0, "0.00"),
        (5.372, "5.372"),
        (5.3704, "5.37"),
        (0.125, "0.125"),
        (12.0, "12.00"),
    ],
)
def test_times_are_written_in_hundredths_where_that_says_all(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_frames_nearer_than_a_hundredth_share_a_name() -> None:
    assert time_grid([0.0, 0.001, 0.0333, 0.0666, 0.0669]) == ("0.00", "0.03", "0.07")
