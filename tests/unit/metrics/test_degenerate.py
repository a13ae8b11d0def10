"""Answers that do not depend on the video."""

import random

import pytest

from kairoscope.events import Event
from kairoscope.metrics.degenerate import TimedClip, is_degenerate

QUERY = ("a", "b", "c")
TRUTH = [(1.0, 2.4, 4.0), (0.7, 2.0, 3.1), (1.4, 3.3, 4.4), (1.1, 2.9, 5.0), (0.5, 1.6, 3.6)]


def clip(
    i: int, ends: tuple[float, ...], start_s: float = 0.0, duration_s: float = 6.0
) -> TimedClip:
    starts = (start_s, *ends)
    events = tuple(Event(n, s, e) for n, s, e in zip(QUERY, starts, ends, strict=False))
    return TimedClip(group=f"demo {i}", query=QUERY, events=events, duration_s=duration_s)


TRUTHS = [clip(i, ends) for i, ends in enumerate(TRUTH)]


def test_the_truth_is_not() -> None:
    assert not is_degenerate(TRUTHS, TRUTHS)


@pytest.mark.parametrize("ends", [(1.0, 2.0, 3.0), (0.9, 3.1, 3.3), (0.0, 0.0, 0.0), (1.0,)])
def test_the_same_answer_to_every_clip_is(ends: tuple[float, ...]) -> None:
    assert is_degenerate([clip(i, ends) for i in range(5)], TRUTHS)


def test_one_that_differs_in_ten_does_not_help() -> None:
    truths = [clip(i, TRUTH[i % 5]) for i in range(10)]
    same = [clip(i, (1.0, 2.0, 3.0)) for i in range(9)]
    assert is_degenerate([*same, clip(9, (2.0, 2.2, 4.1))], truths)
    assert not is_degenerate([*same[:8], *(clip(i, (2.0, 2.2, 4.1)) for i in (8, 9))], truths)


def test_the_same_regular_spacing_from_another_beginning_is() -> None:
    shifted = [clip(i, tuple(0.3 * i + k for k in (1.0, 2.0, 3.0)), 0.3 * i) for i in range(5)]
    assert is_degenerate(shifted, TRUTHS)
    irregular = [clip(i, tuple(0.3 * i + k for k in (1.0, 2.4, 3.0)), 0.3 * i) for i in range(5)]
    assert not is_degenerate(irregular, TRUTHS)


def test_equal_parts_of_the_clip_are() -> None:
    durations = [4.0, 5.5, 6.1, 7.0, 4.4]
    parts = [clip(i, (d / 3, 2 * d / 3, d), duration_s=d) for i, d in enumerate(durations)]
    truths = [
        clip(i, ends, duration_s=d)
        for (i, ends), d in zip(enumerate(TRUTH), durations, strict=True)
    ]
    assert is_degenerate(parts, truths)


def test_answers_alike_where_the_truth_is_alike_are_not() -> None:
    rng = random.Random(0)
    same = [clip(i, tuple(t + rng.uniform(-0.02, 0.02) for t in (1.0, 2.0, 3.0))) for i in range(5)]
    assert not is_degenerate([clip(i, (1.0, 2.0, 3.0)) for i in range(5)], same)


def test_a_few_demonstrations_cannot_tell() -> None:
    twice = [clip(i // 2, (1.0, 2.0, 3.0)) for i in range(4)]
    assert not is_degenerate(twice, TRUTHS)
    assert not is_degenerate([], TRUTHS)
