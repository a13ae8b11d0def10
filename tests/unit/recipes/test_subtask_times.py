"""The task of subtask times: what is asked, what a perfect answer is, its grammar and grid."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.core import Sample, Slot, Template, Unparsed
from kairoscope.data.labels import EventSample
from kairoscope.events import Event, Events
from kairoscope.recipes.subtask_times import (
    METRICS,
    TASK,
    parse,
    prompt,
    render,
    score,
    snap,
    template,
)

QUERY = ("grasping the red cube", "releasing the red cube", "grasping the green cube")
GOLD = (Event(QUERY[0], 0.0, 2.1), Event(QUERY[1], 2.1, 3.5), Event(QUERY[2], 3.5, 5.372))
TIMES_S = [i / 8 for i in range(64)]


def sample(gold: Events | None = GOLD, duration_s: float | None = 8.0) -> EventSample:
    return Sample(
        id="a",
        video=Path("a.mp4"),
        query=QUERY,
        gold=gold,
        group="a",
        scenario="stack",
        duration_s=duration_s,
    )


def test_the_prompt_lists_the_events_before_the_video_in_few_words() -> None:
    asked = prompt(QUERY)
    assert asked.before.splitlines() == [
        "Event 1: grasping the red cube",
        "Event 2: releasing the red cube",
        "Event 3: grasping the green cube",
    ]
    assert len(f"{asked.system} {asked.after}".split()) <= 70
    assert "Event 1: <start> <end> name" in asked.system
    assert "<answer></answer>" in asked.system


def test_a_perfect_answer_has_one_line_an_event() -> None:
    assert render(QUERY, GOLD) == (
        "<answer>\n"
        "Event 1: <0.00> <2.10> grasping the red cube\n"
        "Event 2: <2.10> <3.50> releasing the red cube\n"
        "Event 3: <3.50> <5.372> grasping the green cube\n"
        "</answer>"
    )


def test_a_start_that_is_not_known_is_the_end_before_it() -> None:
    ends_only = tuple(Event(event.name, None, event.end_s) for event in GOLD)
    assert render(QUERY, ends_only) == render(QUERY, GOLD)


def test_an_event_that_the_truth_lacks_leaves_its_number_out() -> None:
    assert render(QUERY, GOLD[::2]).splitlines()[1:3] == [
        "Event 1: <0.00> <2.10> grasping the red cube",
        "Event 3: <3.50> <5.372> grasping the green cube",
    ]
    with pytest.raises(ValueError, match="not all in"):
        render(QUERY[:2], GOLD)


def texts(parts: Template) -> list[tuple[str, list[str]]]:
    """Every text of a template with the choices it takes, as the engine may write them."""
    slots = [part for part in parts if isinstance(part, Slot)]
    found = []
    for picks in product(*(range(len(slot.choices)) for slot in slots)):
        if all(
            slot.not_before is None or pick >= picks[slot.not_before]
            for slot, pick in zip(slots, picks, strict=True)
        ):
            taken = [slot.choices[pick] for slot, pick in zip(slots, picks, strict=True)]
            rest = iter(taken)
            text = "".join(part if isinstance(part, str) else next(rest) for part in parts)
            found.append((text, taken))
    return found


@pytest.mark.parametrize("query", [QUERY[:1], QUERY[:2], ("a <b> | c", "2 cups 3.5 - 4.5", "x")])
def test_every_path_of_the_grammar_parses_to_the_choices_it_takes_and_renders_back(
    query: tuple[str, ...],
) -> None:
    paths = texts(template(query, [0.0, 0.125, 0.1251, 0.3]))
    assert len(paths) >= 6
    for text, taken in paths:
        events = parse(query, text)
        assert not isinstance(events, Unparsed)
        read = [f"{time:.2f}" for e in events for time in (e.start_s or 0.0, e.end_s)]
        assert read == taken
        assert (
            render(
                query,
                tuple(Event(n, e.start_s, e.end_s) for n, e in zip(query, events, strict=True)),
            )
            == text
        )


def test_the_grid_of_answers_is_strictly_increasing_in_hundredths() -> None:
    slot = template(QUERY, [0.0, 0.0333, 0.0339, 0.0666, 0.1])[1]
    assert isinstance(slot, Slot)
    assert slot.choices == ("0.00", "0.03", "0.07", "0.10")
    names = [part.name for part in template(QUERY, [0.0]) if isinstance(part, Slot)]
    assert names == ["start 1", "end 1", "start 2", "end 2", "start 3", "end 3"]


def test_an_end_waits_for_its_start_and_a_start_for_the_start_before_it() -> None:
    slots = [part for part in template(QUERY, [0.0, 1.0]) if isinstance(part, Slot)]
    waits_for = {
        slot.name: None if slot.not_before is None else slots[slot.not_before].name
        for slot in slots
    }
    assert waits_for == {
        "start 1": None,
        "end 1": "start 1",
        "start 2": "start 1",
        "end 2": "start 2",
        "start 3": "start 2",
        "end 3": "start 3",
    }


@pytest.mark.parametrize("times_s", [[], [1.0, 0.5], [-1.0, 0.0], [0.0, float("nan")]])
def test_frame_times_that_make_no_grid_are_refused(times_s: list[float]) -> None:
    with pytest.raises(ValueError, match="frame times"):
        template(QUERY, times_s)


@st.composite
def golds(draw: st.DrawFn) -> Events:
    num_events = draw(st.integers(1, 4))
    moment = st.floats(0, 12, allow_nan=False)
    events = []
    for i in range(num_events):
        start_s, end_s = sorted((draw(moment), draw(moment)))
        events.append(Event(f"event {i}", draw(st.sampled_from([start_s, None])), end_s))
    return tuple(sorted(events, key=lambda event: event.end_s))


@given(golds(), st.lists(st.floats(0, 12), min_size=1, max_size=30).map(sorted))
@settings(max_examples=200, deadline=None)
def test_the_snapped_truth_is_always_a_path_of_the_grammar(
    gold: Events, times_s: list[float]
) -> None:
    query = tuple(event.name for event in gold)
    text = render(query, snap(gold, times_s))
    parts = template(query, times_s)
    slots = [part for part in parts if isinstance(part, Slot)]
    picks: list[int] = []
    rest = text
    for part in parts:
        if isinstance(part, str):
            assert rest.startswith(part)
            rest = rest[len(part) :]
        else:
            assert isinstance(part, Slot)
            taken = rest[: rest.index(">")]
            picks.append(part.choices.index(taken))
            rest = rest[len(taken) :]
    assert not rest
    for slot, pick in zip(slots, picks, strict=True):
        assert slot.not_before is None or pick >= picks[slot.not_before]


def test_snapping_moves_to_the_nearest_frame() -> None:
    snapped = snap(GOLD, TIMES_S)
    assert [(e.start_s, e.end_s) for e in snapped] == [(0.0, 2.12), (2.12, 3.5), (3.5, 5.38)]
    assert snap(GOLD, [1.0]) == tuple(Event(name, 1.0, 1.0) for name in QUERY)
    assert snap(snapped, TIMES_S) == snapped


def test_the_truth_scores_best_and_an_answer_that_failed_the_worst_of_the_clip() -> None:
    best = score(parse(QUERY, render(QUERY, GOLD)), sample())
    assert best == {key: metric.best for key, metric in METRICS.items()}
    worst = score(Unparsed("nothing"), sample())
    # Ends 2.1, 3.5 and 5.372 in a clip of 8 s: the far end is the clip's, the clip's, its start.
    assert worst["mae_s"] == pytest.approx((5.9 + 4.5 + 5.372) / 3)
    assert worst["mre_percent"] == pytest.approx(100 * (5.9 / 2.1 + 4.5 / 1.4 + 5.372 / 1.872) / 3)
    assert (worst["tiou"], worst["hit"], worst["events_found"]) == (0, 0, 0)


def test_a_sample_without_truth_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="no gold answer"):
        score(GOLD, sample(gold=None))


@given(golds())
@settings(max_examples=100, deadline=None)
def test_events_survive_json(gold: Events) -> None:
    assert TASK.from_json(TASK.to_json(gold)) == gold
    numbered = TASK.from_json(TASK.to_json((Event("a", 0.0, 1.0, 3),)))
    assert numbered[0].number == 3
