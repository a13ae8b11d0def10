"""What the choices and the answer of a question may be. Pure."""

from collections.abc import Sequence
from typing import Any

from kairoscope.core import UserError
from kairoscope.data.rows import show
from kairoscope.fields.choices import LETTERS
from kairoscope.fields.schema import folded_text
from kairoscope.fields.writing import plain_text


def checked_choices(value: Any) -> tuple[str, ...]:
    """Choices of a question: a list of texts, or an object from letters to texts.

    Raises UserError: fewer than two or more than 26, two alike, or one that is the letter of another.
    """
    if isinstance(value, dict):
        letters = sorted(value)
        if letters != list(LETTERS[: len(letters)]):
            raise UserError(f"choices are {show(value)}; allowed: letters A, B, C, … without a gap")
        value = [value[letter] for letter in letters]
    if not isinstance(value, list) or not 2 <= len(value) <= len(LETTERS):
        raise UserError(f"choices are {show(value)}; allowed: a list of 2 to {len(LETTERS)} texts")
    choices = tuple(_choice(choice) for choice in value)
    folded = [folded_text(choice) for choice in choices]
    for place, (choice, one) in enumerate(zip(choices, folded, strict=True)):
        if folded.count(one) > 1:
            raise UserError(f"choice {choice!r} is there twice (case and dashes do not count)")
        if len(one) == 1 and LETTERS.lower().find(one) not in (-1, place, *range(len(choices), 26)):
            raise UserError(f"choice {choice!r} is the letter of another choice")
    return choices


def _choice(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not folded_text(value) or not value.strip().isprintable():
        raise UserError(f"a choice is {show(value)}; allowed: a text of one line")
    return value.strip()


def checked_answer(value: Any, choices: Sequence[str]) -> str:
    """The right answer: of choices by its text or its letter, else a text. Raises UserError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"answer is {show(value)}; allowed: {_allowed(choices)}")
    if not choices:
        return plain_text(value)
    by_text = {folded_text(choice): choice for choice in choices}
    if whole := by_text.get(folded_text(value)):
        return whole
    letter = value.strip().strip("().:").upper()
    place = LETTERS.find(letter) if len(letter) == 1 else -1
    if not 0 <= place < len(choices):
        raise UserError(f"answer is {show(value)}; allowed: {_allowed(choices)}")
    return choices[place]


def _allowed(choices: Sequence[str]) -> str:
    if not choices:
        return "a text"
    return f"a letter from A to {LETTERS[len(choices) - 1]}, or the text of a choice"
