"""Judges of a few lines behind a real server: an honest one, and others that are not."""

import json
import re
from collections.abc import Callable
from typing import Any

from small_server import Body, Reply, Small

from kairoscope.fields.scores import word_overlap

TEXTS = re.compile(r'First description: (".*")\n\nSecond description: (".*")$', re.DOTALL)


def texts_of(body: Body) -> tuple[str, str]:
    """The two texts of a question, as they were before they were sent."""
    found = TEXTS.search(body["messages"][-1]["content"])
    assert found is not None
    return json.loads(found[1]), json.loads(found[2])


def is_question(body: Body) -> bool:
    """Whether this is a question to the judge, and no probe of the server."""
    return "First description" in str(body["messages"][-1]["content"])


def overlap_score(first: str, second: str) -> int:
    """1 to 5 by the words that two texts share."""
    return 1 + round(4 * word_overlap(first, second))


def judging(score: Callable[[str, str, int], int | str], **small: Any) -> Small:
    """A server whose judge scores by (first text, second text, sample)."""

    def text(body: Body, sample: int) -> str:
        if not is_question(body):
            return "word"
        first, second = texts_of(body)
        given = score(first, second, sample)
        if isinstance(given, str):
            return given
        return json.dumps(
            {"reason": f"{overlap_score(first, second)} by words", "score": str(given)}
        )

    return Small(
        reply=lambda body, number: Reply(status=500),
        text_only=lambda _: Reply(text=text, num_prompt_tokens=50),
        **small,
    )


def honest(first: str, second: str, sample: int) -> int:
    """Scores by what the texts share, in any order."""
    return overlap_score(first, second)


def questions_of(small: Small) -> list[Body]:
    """What the judge was asked."""
    return [body for body in small.others if is_question(body)]
