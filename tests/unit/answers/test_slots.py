"""The grammar read backwards: what a text says in each slot."""

import pytest

from kairoscope.answers.slots import said, shown_choice
from kairoscope.core import Slot, Text
from kairoscope.events import Event
from kairoscope.recipes import get_recipe


def test_every_slot_of_a_rendered_gold_answer_has_its_value() -> None:
    captions = get_recipe("av-captions:driving_world").task
    gold = captions.from_json(
        {"weather": "Rain", "lanes": 3, "lead_vehicle": "True", "behaviours": ["Vehicle following"]}
    )
    query = ("weather", "lanes", "lead_vehicle", "behaviours")
    found = said(captions.template(query, ()), captions.render(query, gold))
    assert found is not None
    shown = {slot: shown_choice(choice) for slot, choice in found.items()}
    assert (shown["weather"], shown["lanes"], shown["lead_vehicle"]) == ("Rain", "3", "True")
    assert shown.pop("behaviours: Vehicle following") == "yes"
    assert {value for slot, value in shown.items() if slot.startswith("behaviours")} == {"no"}


def test_times_are_read_on_the_grid_of_the_frames() -> None:
    task = get_recipe("subtask-times").task
    query, times_s = ("grasp", "release"), (0.0, 0.5, 1.0, 1.5)
    gold = task.snap((Event("grasp", 0.1, 0.6), Event("release", 0.6, 1.4)), times_s)
    found = said(task.template(query, times_s), task.render(query, gold))
    assert found == {"start 1": "0.00", "end 1": "0.50", "start 2": "0.50", "end 2": "1.50"}


@pytest.mark.parametrize("text", ["", "<answer>6</answer>", "<answer>3</answer> ", "3"])
def test_what_is_none_of_the_grammar_says_nothing(text: str) -> None:
    task = get_recipe("physics-score").task
    assert said(task.template((), ()), text) is None
    assert said(task.template((), ()), "<answer>3</answer>") == {"score": "3"}


def test_free_words_are_skipped_and_the_longest_choice_is_taken() -> None:
    template = ('"', Text(name="words", max_tokens=9), '" ', Slot(name="n", choices=("1", "12")))
    assert said(template, '"any words, 1" 12') == {"n": "12"}
    assert said(template, '"never ended 12') is None
