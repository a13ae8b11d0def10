"""A score from 1 to 5 as models write it. Pure, total, linear time."""

import re

from kairoscope.answers.section import answer_section
from kairoscope.core import Unparsed
from kairoscope.scale import HIGHEST, LOWEST, SCORES

_SHOWN = 60
_NUMBER = r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?"
_FREE = re.compile(rf"(?<![\w.])({_NUMBER})(?![\w%]|\.[0-9])")
_LABELLED = re.compile(
    rf"\b(?:score|rating|answer)\b[\"'*_]{{0,4}} ?(?:is|of|=|:)?[\"'*_: ]{{0,6}}({_NUMBER})(?![\w%]|\.[0-9])",
    re.IGNORECASE,
)
_OUT_OF = re.compile(rf"(?<![\w.])({_NUMBER}) ?(?:/|out of) ?{HIGHEST}(?![\w.])", re.IGNORECASE)
_TAG = re.compile(r"<\s?/?\s?answer\s?>", re.IGNORECASE)


def parse_score(text: str) -> int | Unparsed:
    """The score of an answer, or why there is none.

    Of the part that is the answer (`answer_section`): all of it, if it is one number; else the last
    number that is called a score, rating or answer; else the last one `out of 5`; else, between
    answer tags, the only number there. Nothing is rounded, and no number is taken from prose.

    Never raises; linear time.
    """
    section = answer_section(text)
    bare = section.strip().strip("*_`\"'()[]{}.: \n")
    if re.fullmatch(_NUMBER, bare):
        return _score(bare)
    for pattern in (_LABELLED, _OUT_OF):
        found = pattern.findall(section)
        if found:
            return _score(found[-1])
    numbers = sorted(set(_FREE.findall(section))) if _TAG.search(text) else []
    if len(numbers) == 1:
        return _score(numbers[0])
    begins = " ".join(section[:400].split())
    if not begins:
        return Unparsed("the answer is empty")
    shown = begins if len(begins) <= _SHOWN else begins[: _SHOWN - 1] + "…"
    what = f"{len(numbers)} numbers, none of them called the score" if numbers else "no score"
    return Unparsed(f"{what}: the answer begins {shown!r}")


def _score(number: str) -> int | Unparsed:
    value = float(number)
    if value not in SCORES:
        return Unparsed(f"{number} is no whole score from {LOWEST} to {HIGHEST}")
    return int(value)
