"""A score is read where one is said, and never guessed."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.answers.scores import parse_score
from kairoscope.core import Unparsed


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("<answer>4</answer>", 4),
        ("<answer>\n5\n</answer>", 5),
        ("<think>The 3 balls fall, 2 of them twice.</think>\n<answer>2</answer>", 2),
        ("<think>maybe <answer>3</answer></think><answer>1</answer>", 1),
        ("3", 3),
        ("**4**", 4),
        ("Score: 4", 4),
        ('{"score": 2, "reason": "it floats for 3 seconds"}', 2),
        ("I would give it a rating of 4.", 4),
        ("My score is 3 at first. Final score: 2", 2),
        ("4/5", 4),
        ("<answer>4 out of 5</answer>", 4),
        ("<answer>plausible, so 5</answer>", 5),
        ("<answer>4.0</answer>", 4),
        ("\x1b[32m<answer>1</answer>\x1b[0m", 1),
    ],
)
def test_a_score_that_is_said_is_read(text: str, score: int) -> None:
    assert parse_score(text) == score


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The 3 balls fall as they should.",  # a number in prose is no score
        "<answer>between 3 and 4</answer>",
        "<answer>3.5</answer>",
        "<answer>0</answer>",
        "<answer>7</answer>",
        "<answer>-4</answer>",
        "<answer>99999999999999999999</answer>",
        "<answer>good</answer>",
        "score: 80%",
        "1e3",
    ],
)
def test_what_is_no_score_is_a_reason(text: str) -> None:
    found = parse_score(text)
    assert isinstance(found, Unparsed)
    assert found.reason


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_score_or_a_reason(text: str) -> None:
    found = parse_score(text)
    assert isinstance(found, Unparsed) or found in (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "piece", ["score ", "score: ", "4/", "1 ", "<answer>", '"score"\'*', "9.9"]
)
def test_time_grows_with_the_length(piece: str) -> None:
    def seconds(times: int) -> float:
        started = time.process_time()
        parse_score(piece * times)
        return time.process_time() - started

    seconds(1000)
    assert seconds(100_000) < 100 * max(seconds(10_000), 2e-3)
