"""Rewards and advantages against numbers worked by hand."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kairoscope.core import Sample, Unparsed, UserError
from kairoscope.events import Event
from kairoscope.metrics.errors import HIT_SHARE
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.advantages import group_advantages, shared_prefixes
from kairoscope.train.rewards import (
    REWARDS,
    Answered,
    check_rewards,
    reward_parts,
    total_reward,
    why_unrewarded,
)

QUERY = ("grasping", "placing")
GOLD = (Event("grasping", 0.0, 2.0), Event("placing", 2.0, 4.0))
SAMPLE: Sample[Any, Any] = Sample(
    id="a", video=Path("a.mp4"), query=QUERY, gold=GOLD, group="a", scenario="s", duration_s=5.0
)


def answered(text: str, sample: Sample[Any, Any] = SAMPLE, value: Any = None) -> Answered:
    found = TASK.parse(sample.query, text) if value is None else value
    return Answered(task=TASK, sample=sample, text=text, value=found)


def reward(name: str, one: Answered) -> float:
    return REWARDS[name].of(one)


PERFECT = TASK.render(QUERY, GOLD)


@pytest.mark.parametrize("name", ["tiou", "boundary", "format"])
def test_the_gold_answer_gets_everything_and_garbage_nothing(name: str) -> None:
    assert reward(name, answered(PERFECT)) == 1
    assert reward(name, answered("the robot moves")) == 0
    assert reward(name, answered("")) == 0


def test_times_by_hand() -> None:
    text = PERFECT.replace("Event 1: <0.00> <2.00>", "Event 1: <0.00> <1.00>")
    one = answered(text)
    assert reward("tiou", one) == pytest.approx((0.5 + 1) / 2)
    assert reward("boundary", one) == pytest.approx((math.exp(-0.5 / HIT_SHARE) + 1) / 2)
    assert reward("format", one) == 1


def test_a_missing_event_is_worth_nothing() -> None:
    first = PERFECT.split("\n")
    text = "\n".join([first[0], first[1], first[-1]])
    one = answered(text)
    assert reward("tiou", one) == 0.5
    assert reward("boundary", one) == 0.5


@pytest.mark.parametrize(
    ("text", "format_", "thinking"),
    [
        (f"<think>the hand closes</think>\n{PERFECT}\n", 1, 1),
        (f"<think>  </think>{PERFECT}", 1, 0),
        (f"Well: {PERFECT}", 0, 0),
        (PERFECT + "!", 0, 0),
        ("grasping from 0.0 to 2.0 s, placing from 2.0 to 4.0 s", 0, 0),
    ],
)
def test_the_form_of_an_answer(text: str, format_: int, thinking: int) -> None:
    assert reward("format", answered(text)) == format_
    assert reward("thinking", answered(text)) == thinking


@pytest.mark.parametrize(
    ("value", "worth"), [(3, 1.0), (2, 0.5), (4, 0.5), (5, 0.0), (1, 0.0), (Unparsed("no"), 0.0)]
)
def test_dense_scores(value: Any, worth: float) -> None:
    scored = replace(SAMPLE, gold=3)
    assert reward("score", answered("", scored, value)) == worth


def test_weights_and_names() -> None:
    weights = (("tiou", 2.0), ("format", -0.5))
    parts = reward_parts(answered(PERFECT), weights)
    assert parts == {"tiou": 1.0, "format": 1.0}
    assert total_reward(parts, weights) == 1.5
    check_rewards(weights)
    for bad, why in (
        ((("no", 1.0),), "no reward 'no'; allowed: score, tiou"),
        ((("tiou", 0.0),), "every weight is 0"),
        ((("tiou", 1.0), ("tiou", 1.0)), "comes twice"),
    ):
        with pytest.raises(UserError, match=why):
            check_rewards(bad)
    assert why_unrewarded(GOLD, weights) is None
    assert why_unrewarded(3, weights) == "the reward 'tiou' needs one event or more as gold answer"
    assert why_unrewarded(3, (("score", 1.0),)) is None


def test_advantages_by_hand() -> None:
    found = group_advantages([1.0, 0.0, 0.0, 1.0])
    assert found == pytest.approx((1, -1, -1, 1), rel=1e-5)
    assert group_advantages([1.0, 0.0, 0.5], scale=False) == (0.5, -0.5, 0.0)
    assert group_advantages([0.3, 0.1 + 0.2, 0.3]) is None
    assert group_advantages([7.0, 7.0]) is None


def test_prefixes_that_are_not_learned_from() -> None:
    answers = [[1, 2, 3, 4], [1, 2, 3, 5], [1, 9, 9], [8]]
    assert shared_prefixes(answers, [1, 0, 0, 0], 1) == (3, 3, 0, 0)
    assert shared_prefixes(answers, [1, 1, 0, 0], 1) == (0, 0, 0, 0)
    assert shared_prefixes(answers, [1, 0, 0, 0], 4) == (0, 0, 0, 0)
    three = [[1, 2, 3], [1, 2, 4], [1, 2, 5]]
    assert shared_prefixes(three, [0, 0, 1], 1) == (2, 2, 2)
    same = [[1, 2], [1, 2], [3]]
    assert shared_prefixes(same, [1, 1, 0], 1) == (0, 0, 0)
