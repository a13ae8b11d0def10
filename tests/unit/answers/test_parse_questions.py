"""Letters and words of answers, in the forms in which models give them."""

import random
import string
import time

import pytest

from kairoscope.answers.questions import parse_choice, parse_words
from kairoscope.core import Unparsed
from kairoscope.fields.choices import LETTERS

LIGHTS = ("No traffic light", "Green", "Red")
MOVES = ("Keeps its lane", "Changes lane", "Its lane", "I")


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("<answer>\nB\n</answer>", "Green"),
        ("B", "Green"), ("b", "Green"), ("(C)", "Red"), ("**B**", "Green"), ("B.", "Green"),
        ("C. Red", "Red"), ("c) red", "Red"), ("[B] because it shines", "Green"),
        ("green", "Green"), ("RED.", "Red"), ("<answer>no traffic light</answer>", "No traffic light"),
        ("The answer is B.", "Green"), ("The answer is (C)", "Red"), ("Answer: **A**", "No traffic light"),
        ("Option C because of the sky", "Red"), ("the correct choice is B, as it shines", "Green"),
        ("It shows a green light.", "Green"),
        ("<think>A or C?</think>\n<answer>B</answer>", "Green"),
        ("I doubt between A and B. <answer>C</answer>", "Red"),
        ("Answer: A\nOn reflection, Answer: B", "Green"),
        ("B<|im_end|>C", "Green"),
    ],
)  # fmt: skip
def test_a_choice_is_read_from_its_letter_or_its_words(text: str, taken: str) -> None:
    assert parse_choice(LIGHTS, text) == taken


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"), ("<answer></answer>", "empty"), ("I cannot tell.", "no letter"),
        ("D", "none of the letters A to C"), ("Answer: X", "none of the letters"),
        ("first red, then green", "2 of the choices"), ("B. Red", "another choice"),
        ("A car drives by.", "no letter"), ("The answer is A car", "no letter"),
        ("e.g. a lamp", "no letter"),
    ],
)  # fmt: skip
def test_what_is_no_choice_is_a_reason(text: str, why: str) -> None:
    found = parse_choice(LIGHTS, text)
    assert isinstance(found, Unparsed)
    assert why in found.reason


def test_the_longer_of_two_choices_that_share_words_is_meant() -> None:
    assert parse_choice(MOVES, "The car keeps its lane here") == "Keeps its lane"
    assert parse_choice(MOVES, "its lane") == "Its lane"
    assert parse_choice(MOVES, "d") == "I"
    assert parse_choice(("C", "B", "A"), "A") == "A"  # a text that is a letter means the text


@pytest.mark.parametrize("count", [2, 5, 26])
def test_every_letter_and_every_text_means_its_choice(count: int) -> None:
    choices = [f"thing number {i}" for i in range(count)]
    for letter, choice in zip(LETTERS, choices, strict=False):
        for text in (
            letter,
            f"{letter})",
            f"{letter}. {choice}",
            choice.upper(),
            f"It is {choice}!",
        ):
            assert parse_choice(choices, text) == choice


def test_open_answers_are_read_on_one_line() -> None:
    assert parse_words('<answer>\n{"answer": "It stops. "}\n</answer>') == "It stops."
    assert parse_words("<think>so</think> It\n stops<|im_end|>x") == "It stops"
    assert parse_words('{"other": 1}') == Unparsed("the answer is empty")
    assert isinstance(parse_words(" <answer> </answer> "), Unparsed)


def test_reading_never_fails_and_takes_time_with_the_length() -> None:
    rng = random.Random(0)
    letters = string.ascii_letters + "().:*[]<>/\"' \n"
    for _ in range(200):
        text = "".join(rng.choices(letters, k=80))
        parse_choice(LIGHTS, text)
        parse_words(text)
    for part in ("answer is ", "A) ", "<answer>", "green ", "((((", '{"answer": ', "*_`"):
        begun = time.perf_counter()
        parse_choice(LIGHTS, part * 20_000)
        parse_words(part * 20_000)
        assert time.perf_counter() - begun < 2
