"""Questions about a simulated drive, with choices and without; every answer is exact. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from kairoscope.fields import load_schema
from kairoscope.simulate.driving.facts import (
    RED,
    SCHEMA,
    STOPS,
    Drive,
    caption_of,
    described,
)

CHOICES: Final = 4
"""Shown of a field that may say more."""
WITH_CHOICES: Final = (
    "weather",
    "lighting",
    "road_type",
    "lanes",
    "junction_type",
    "traffic_light",
    "lead_vehicle",
    "pedestrian",
    "manoeuvre",
)
"""Fields of the schema that are asked about, by their names; each is a kind of question."""
YES, NO = "Yes", "No"


def questions_of(
    drive: Drive, name: str, video: str, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Rows of `questions.jsonl` about one clip, for `kairoscope.data.questions`.

    The order of the choices, and which wrong ones there are, is drawn: no letter says more than another.

    Args:
        drive: what is true.
        name: of the clip; the rows' ids begin with it, and it is their group.
        video: its path as rows have it.
        rng: of its own, so that clips do not depend on it.
    """
    return [
        {"id": f"{name}/{row['kind']}", "video": video, "group": name, **row}
        for row in (*_with_choices(drive, rng), *_open(drive))
    ]


def _with_choices(drive: Drive, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    schema, caption = load_schema(SCHEMA), caption_of(drive)
    for name in WITH_CHOICES:
        field, value = schema.field(name), caption[name]
        is_asked_whether = isinstance(value, bool)
        answer = (YES if value else NO) if is_asked_whether else str(value)
        values = (YES, NO) if is_asked_whether else field.values
        yield {
            "kind": name.replace("_", " "),
            "question": field.question,
            "choices": _shuffled(answer, values, rng),
            "answer": answer,
        }


def _shuffled(answer: str, values: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The right value among at most three others, in any order."""
    wrong = [str(value) for value in rng.permutation([v for v in values if v != answer])]
    return [str(value) for value in rng.permutation([answer, *wrong[: CHOICES - 1]])]


def _open(drive: Drive) -> Iterator[dict[str, Any]]:
    """Questions without choices: one of a word or two, one of a sentence, one of two."""
    yield {
        "kind": "sky, in words",
        "question": "What is the weather, in a word or two?",
        "answer": drive.weather,
    }
    if drive.manoeuvre == STOPS:
        reasons = {
            "at a red light": drive.traffic_light == RED,
            "for somebody who crosses the road": drive.has_pedestrian,
        }
        why = " and ".join(reason for reason, is_so in reasons.items() if is_so)
        yield {
            "kind": "reason, in words",
            "question": "Why does the ego vehicle stop?",
            "answer": f"It stops {why}.",
        }
    yield {
        "kind": "drive, in words",
        "question": "What happens in the clip? Answer in two sentences.",
        "answer": described(drive),
    }
