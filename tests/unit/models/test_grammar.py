"""A template as a regular expression: the same texts as the automaton's, and no others but for the order."""

import random
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kairoscope.core import Slot, Template, UserError
from kairoscope.events import Event, time_grid
from kairoscope.models.chat import text_ids
from kairoscope.models.constrain import CompiledSlot, compile_template
from kairoscope.models.grammar import (
    answer_part,
    choices_regex,
    satisfies,
    template_regex,
    violation,
)
from kairoscope.recipes.subtask_times import TASK, template

NAMES = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12), max_size=3
)
QUERIES = st.one_of(
    st.just(("grasping the cube", "placing (it) [on] the 2nd one. <0.25>", r"a\b|c*+?^$-/{}")),
    NAMES.map(tuple),
).filter(len)
TIMES = st.one_of(
    st.tuples(st.sampled_from([1.0, 4.0, 8.0, 9.533, 12.0]), st.integers(1, 60)).map(
        lambda pair: tuple(i / pair[0] for i in range(pair[1]))
    ),
    st.lists(st.floats(0, 1200), min_size=1, max_size=20).map(lambda t: tuple(sorted(t))),
)


def written(parts: Template, seed: int, *, in_order: bool = True) -> str:
    """A text of the template; with `in_order`, one that the automaton can write."""
    rng = random.Random(seed)
    picks: list[int] = []
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        assert isinstance(part, Slot)
        first = 0 if part.not_before is None or not in_order else picks[part.not_before]
        picks.append(rng.randrange(first, len(part.choices)))
        text += part.choices[picks[-1]]
    return text


@given(QUERIES, TIMES, st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_everything_in_order_is_accepted_and_parses(
    query: tuple[str, ...], times_s: tuple[float, ...], seed: int
) -> None:
    parts = template(query, times_s)
    text = written(parts, seed)
    assert re.fullmatch(template_regex(parts), text)
    assert satisfies(parts, text)
    events = TASK.parse(query, text)
    assert isinstance(events, tuple)
    assert len(events) == len(query)
    assert {seconds for e in events for seconds in (e.start_s, e.end_s)} <= set(
        map(float, time_grid(times_s))
    )


@given(QUERIES, TIMES, st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_the_regex_leaves_out_nothing_but_the_order(
    query: tuple[str, ...], times_s: tuple[float, ...], seed: int
) -> None:
    parts = template(query, times_s)
    text = written(parts, seed, in_order=False)
    assert re.fullmatch(template_regex(parts), text)
    reason = violation(parts, text)
    assert reason is None or "comes before" in reason
    if reason is None:
        assert isinstance(TASK.parse(query, text), tuple)


@given(st.data(), QUERIES, TIMES)
@settings(deadline=None, max_examples=40)
def test_what_the_regex_generates_is_of_the_template(
    data: st.DataObject, query: tuple[str, ...], times_s: tuple[float, ...]
) -> None:
    parts = template(query, times_s)
    text = data.draw(st.from_regex(template_regex(parts), fullmatch=True))
    reason = violation(parts, text)
    assert reason is None or "comes before" in reason


@given(QUERIES, TIMES, st.integers(0, 9), st.data())
@settings(deadline=None, max_examples=40)
def test_a_changed_character_is_refused_by_both_or_is_another_time(
    query: tuple[str, ...], times_s: tuple[float, ...], seed: int, data: st.DataObject
) -> None:
    parts = template(query, times_s)
    text = written(parts, seed)
    at = data.draw(st.integers(0, len(text) - 1))
    new = text[:at] + data.draw(st.sampled_from("0123456789.<>x\n ")) + text[at + 1 :]
    assume(new != text)
    accepted = re.fullmatch(template_regex(parts), new) is not None
    reason = violation(parts, new)
    assert accepted == (reason is None or "comes before" in reason)
    for longer in (text + "\n", " " + text, text[:-1]):
        assert not re.fullmatch(template_regex(parts), longer)
        assert not satisfies(parts, longer)


@given(st.sets(st.text("0123456789.]^-ab\\", min_size=1, max_size=4), min_size=1, max_size=30))
def test_an_expression_has_exactly_the_values(values: set[str]) -> None:
    ordered = sorted(values)
    assume(not any(b.startswith(a) for a in ordered for b in ordered if a != b))
    expression = choices_regex(tuple(ordered))
    others = {a[:-1] + b[-1:] for a in values for b in values} | {
        a + b for a in values for b in "0a"
    }
    for text in values | others:
        assert bool(re.fullmatch(expression, text)) == (text in values)


def test_times_share_their_beginnings_and_endings() -> None:
    assert choices_regex(time_grid([i / 4 for i in range(29)])) == (
        r"(?:[0-6]\.(?:[05]0|[27]5)|7\.00)"
    )
    long = template(("grasping",) * 12, tuple(i / 12 for i in range(768)))
    assert len(template_regex(long)) < 6_000
    uneven = template(("grasping",) * 12, tuple(i * 0.0533 for i in range(768)))
    assert len(template_regex(uneven)) < 120_000


def test_the_automaton_writes_what_the_regex_accepts(tokenizer: Any) -> None:
    """Tokens of literals and of picked values, decoded, as in-process decoding puts them together."""
    query = ("grasping the red cube", "placing the red cube on the green one.")
    parts = template(query, tuple(i / 4 for i in range(13)))
    expression = re.compile(template_regex(parts))

    class Encoder:
        def __init__(self) -> None:
            self.tokenizer = tokenizer

    encoder: Any = Encoder()
    pieces = compile_template(parts, lambda text: text_ids(encoder, text))
    rng = random.Random(0)
    for _ in range(200):
        ids: list[int] = []
        picks: list[int] = []
        for piece in pieces:
            if isinstance(piece, CompiledSlot):
                before = piece.slot.not_before
                picks.append(rng.randrange(0 if before is None else picks[before], len(piece.ids)))
                ids.extend(piece.ids[picks[-1]])
            else:
                assert isinstance(piece, tuple)
                ids.extend(piece)
        text = tokenizer.decode(ids, skip_special_tokens=False)
        assert expression.fullmatch(text)
        assert satisfies(parts, text)


def test_reasoning_comes_first_and_is_free() -> None:
    parts = template(("grasping",), (0.0, 0.25))
    text = written(parts, 1)
    expression = re.compile(template_regex(parts, reasoning=True))
    for thought in (
        "<think>\nat 0.2 < 0.3 it <b>moves\n</think>\n\n",
        "</think>",
        "so\n</think>\n",
    ):
        assert expression.fullmatch(thought + text)
        assert satisfies(parts, answer_part(thought + text))
    assert not expression.fullmatch(text)
    assert not expression.fullmatch("<think>never closed" + text)
    assert not expression.fullmatch("<think></think>" + text + "</think>")
    assert answer_part(text) == text


def test_what_is_wrong_is_said() -> None:
    parts = template(("grasping",), (0.0, 0.25, 0.5))
    good = "<answer>\nEvent 1: <0.00> <0.25> grasping\n</answer>"
    assert violation(parts, good) is None
    assert violation(parts, good.replace("<0.00>", "<0.50>")) == (
        "end 1 0.25 comes before start 1 0.50"
    )
    assert "'start 1'" in str(violation(parts, good.replace("0.00", "0.30")))
    assert r"stands '\n</answ'" in str(violation(parts, good[:-3]))
    assert "the text ends" in str(violation(parts, good[:19]))
    assert "after the end" in str(violation(parts, good + "!"))
    assert "'I think so'" in str(violation(parts, "I think so"))
    assert TASK.parse(("grasping",), good) == (Event("grasping", 0.0, 0.25, 1),)


def test_templates_that_no_engine_could_follow_are_refused() -> None:
    for choices in (("1", "1.5"), ("", "a"), ()):
        with pytest.raises(UserError, match="slot"):
            template_regex((Slot(name="s", choices=choices),))
    with pytest.raises(UserError, match="not_before"):
        template_regex((Slot(name="s", choices=("1", "2"), not_before=0),))
