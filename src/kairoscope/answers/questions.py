"""Answers to questions as models write them: a letter, the text of a choice, or free words. Pure, total."""

import json
import re
from collections.abc import Sequence

from kairoscope.answers.section import answer_section
from kairoscope.core import Unparsed
from kairoscope.fields.choices import LETTERS
from kairoscope.fields.schema import folded_text

END_OF_TURN = "<|im_end|>"
_SHOWN = 60
_BARE = " \t\r\n*_`\"'()[]{}.:"
_QUOTES = " \t\r\n\"'`*"
_LEADING = re.compile(r"[\s*_`\"'(\[]{0,8}([A-Za-z])[\s*_`\"']{0,3}[).:\]](?!\w)")
_LETTER = r"([B-HJ-Z](?![\w'])|[AI](?=[\"'*_)\]]{0,4}\s{0,4}(?:$|[.:,;<\n])))"
"""Of a text: A and I are words, too, where other words follow."""
_CALLED = re.compile(
    r"\b(?:[Aa]nswer|ANSWER|[Oo]ption|OPTION|[Cc]hoice|[Ll]etter)\b[\"'*_]{0,4} ?(?:is|=|:)?"
    rf"[\"'*_:(\[ ]{{0,6}}{_LETTER}"
)


def parse_choice(choices: Sequence[str], text: str) -> str | Unparsed:
    """Which of `choices`, shown under A, B, C, …, an answer takes, or why none can be known.

    Of the part that is the answer: all of it, if it is one letter or the text of one choice; else a
    letter that it begins with (`B.`, `(b)`); else the last one called the answer, option or choice;
    else the only choice whose text it contains. An answer that gives a letter and the text of another
    choice is none.

    Never raises; time grows with the length of the text times the number of choices.
    """
    section = answer_section(text.partition(END_OF_TURN)[0], in_words=True)
    bare = section.strip(_BARE)
    by_text = {folded_text(choice): choice for choice in choices}
    if whole := by_text.get(folded_text(bare)):
        return whole
    if len(bare) == 1:
        return _of_letter(bare, choices)
    named = _named(section, choices)
    lettered = _letter(section)
    if lettered is None:
        return named[0] if len(named) == 1 else Unparsed(_reason(section, named))
    meant = _of_letter(lettered, choices)
    if isinstance(meant, str) and len(named) == 1 and named[0] != meant:
        return Unparsed(
            f"it gives the letter {lettered.upper()} and says {named[0]!r}, another choice"
        )
    return meant


def parse_words(text: str) -> str | Unparsed:
    """The words of an open answer: of the part that is the answer, the value of `answer` where it is an
    object of JSON, else all of it on one line. Never raises; linear time.
    """
    section = answer_section(text.partition(END_OF_TURN)[0], in_words=True).strip()
    try:
        found = json.loads(section, strict=False) if section.startswith("{") else None
    except (ValueError, RecursionError):
        found = None
    said = str(found.get("answer", "")) if isinstance(found, dict) else section.strip(_QUOTES)
    return " ".join(said.split()) or Unparsed("the answer is empty")


def _of_letter(letter: str, choices: Sequence[str]) -> str | Unparsed:
    place = LETTERS.find(letter.upper())
    if 0 <= place < len(choices):
        return choices[place]
    return Unparsed(f"{letter!r} is none of the letters A to {LETTERS[len(choices) - 1]}")


def _letter(section: str) -> str | None:
    """The letter that is said to be the answer."""
    if begins := _LEADING.match(section):
        return begins[1]
    found = _CALLED.findall(section)
    return str(found[-1]) if found else None


def _named(section: str, choices: Sequence[str]) -> list[str]:
    """Choices whose words stand in the text, but those that only stand in a longer one's."""
    said = _spaced(section)
    found: list[str] = []
    for choice in sorted(choices, key=len, reverse=True):
        words = _spaced(choice)
        if words.strip() and words in said:
            found.append(choice)
            said = said.replace(words, " | ")
    return found


def _spaced(text: str) -> str:
    kept = (c if c.isalnum() else " " for c in folded_text(text))
    return f" {' '.join(''.join(kept).split())} "


def _reason(section: str, named: Sequence[str]) -> str:
    begins = " ".join(section[:400].split())
    if not begins:
        return "the answer is empty"
    shown = begins if len(begins) <= _SHOWN else begins[: _SHOWN - 1] + "…"
    what = f"{len(named)} of the choices" if named else "no letter and none of the choices"
    return f"{what}: the answer begins {shown!r}"
