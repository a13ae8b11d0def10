"""What a judge wrote -> its score and its reason. Pure, total, linear time."""

import json
import re
from collections import deque
from dataclasses import dataclass

from kairoscope.core import Unparsed

_THINK_END = re.compile(r"<\s?/\s?think(?:ing)?\s?>", re.IGNORECASE)
_SCORE = re.compile(
    r"""(?:\bscore\b["'*]{0,3}\s{0,4}(?:is|of|[:=])?\s{0,4}|<\s?answer\s?>\s{0,8})["'*]{0,3}"""
    r"""(-?[0-9]{1,9}(?:[.,][0-9]{1,9})?)""",
    re.IGNORECASE,
)
_REASON = re.compile(r'"reason"\s{0,4}:\s{0,4}"((?:[^"\\]|\\.){0,4000})"', re.DOTALL)
MAX_REASON = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A score with its reason."""

    score: int
    """1 to 5."""
    reason: str


def read_judgement(text: str) -> Verdict | Unparsed:
    """The last score that a text gives, from 1 to 5, and why.

    JSON as it was asked for, in fences or with words around it, `Score: 4`, `<answer>4</answer>`. A
    number outside the scale, or between two scores, is no score: it is not rounded.
    """
    after = text[_last_end(text) :]
    last = deque(_SCORE.finditer(after), maxlen=1)
    if not last:
        begins = " ".join(after[:200].split())
        return Unparsed(f"no score: it begins {begins[:60]!r}" if begins else "the answer is empty")
    found = last[0]
    number = found[1].replace(",", ".")
    if number.removesuffix(".0") not in ("1", "2", "3", "4", "5"):
        return Unparsed(f"its score is {found[1]}; allowed: 1 to 5")
    return Verdict(score=int(float(number)), reason=_reason(after, found.start()))


def _last_end(text: str) -> int:
    end = 0
    for match in _THINK_END.finditer(text):
        end = match.end()
    return end


def _reason(text: str, before: int) -> str:
    """The `reason` of a JSON object, else the words that stand before the score."""
    found = _REASON.search(text)
    if found is not None:
        try:
            words = str(json.loads(f'"{found[1]}"', strict=False))
        except ValueError:
            words = found[1]
    else:
        words = text[:before].strip(" \t\r\n`*{[\"'")
    return " ".join(words.split())[:MAX_REASON]
