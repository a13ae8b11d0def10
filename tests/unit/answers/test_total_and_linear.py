"""Whatever a model writes, parsing ends soon and never raises."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.answers import parse_events
from kairoscope.core import Unparsed
from kairoscope.events import Events

QUERY = ("grasping the red cube", "releasing the red cube", "grasping the green cube")
MEGABYTE = 1_000_000
PIECES = [
    "<", ">", "[", "]", "{", "}", "(", "|", "-", ":", ".", ",", '"', "'", "\\", "`", "```", "*", "\n",
    "\r\n", " ", "\t", "\0", "\x1b[", "1", "12:", "9.9", "1e9", "-1", "nan", "inf", "null", "Event ",
    "Event 1:", "event 2 ", "3. ", "1) ", "<1.0> <2.0>", "2 - 3", " to ", " s", "start", "end",
    '"start": ', '"end": ', '{"start": 1, "end": 2}', "grasping the red cube", "<answer>", "</answer>",
    "<think>", "</think>", "é", "٣", "\ud800", "²",
]  # fmt: skip


def check(answer: Events | Unparsed) -> None:
    if isinstance(answer, Unparsed):
        assert answer.reason
        return
    assert answer
    numbers = [event.number or 0 for event in answer]
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(range(1, len(QUERY) + 1))
    for event in answer:
        assert event.name.strip()
        assert 0 <= (event.start_s or 0.0) <= event.end_s < float("inf")


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
@settings(max_examples=400, deadline=None)
def test_any_mixture_of_what_parsers_look_for_gives_events_or_a_reason(text: str) -> None:
    check(parse_events(text, QUERY))


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_events_or_a_reason(text: str) -> None:
    check(parse_events(text, QUERY))


@given(
    st.sampled_from(["", "{", "[", "Event 1: ", "<answer>", "```json\n", "1. ", '{"a": "']),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join),
)
@settings(max_examples=12, deadline=None)
def test_a_megabyte_of_any_repetition_takes_less_than_a_second(opening: str, unit: str) -> None:
    assert seconds(opening + unit * (MEGABYTE // len(unit))) < 1.0


@pytest.mark.parametrize(
    "unit",
    ["<", "1", "[", "{", "\n", "-", " ", "```{", '{"a":', '{"start":1,"end":2},', "a b c: '", "1:",
     "Event 1: <1.0> <2.0>\n", "1. 2 - 3\n", "\n\n1", "x 1 s y 2 s\n", "<answer>1", " |", "<1.0> "],
)  # fmt: skip
def test_a_megabyte_of_the_worst_repetitions_takes_less_than_a_second(unit: str) -> None:
    assert seconds(unit * (MEGABYTE // len(unit))) < 1.0


def seconds(text: str) -> float:
    """Processor time, the better of two: the machine may be busy."""
    best = float("inf")
    for _ in range(2):
        begin = time.process_time()
        check(parse_events(text, QUERY))
        best = min(best, time.process_time() - begin)
        if best < 0.5:
            break
    return best
