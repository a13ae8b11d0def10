"""What a judge is asked: two texts about one field of one clip, side by side. Pure.

The judge never sees the clip, nor who wrote which text. Besides the answers themselves it is asked about
controls whose score is known beforehand: the label against itself, which must come near 5; the label of
another clip that shares fewest words with it, near 1; and some answers with the two texts in the other order, which must score alike.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kairoscope.core import Prompt, Slot, Text
from kairoscope.fields.schema import Field, Schema, Value, folded_text
from kairoscope.fields.scores import word_overlap

Control = Literal["answer", "swapped", "same", "other clip"]
CONTROLS: tuple[Control, ...] = ("swapped", "same", "other clip")
SCORES = ("1", "2", "3", "4", "5")
NOTHING = "(nothing)"
REASON_TOKENS = 96

SYSTEM = """\
You compare two descriptions of one driving clip that answer the same question. Judge whether they mean \
the same, whatever words they use; you do not see the clip, so do not judge which is true.
5: the same in every respect. 4: the same but for a detail. 3: partly the same; something important \
differs or is missing. 2: a little in common, different on the whole. 1: nothing in common, or \
contradictory.
Answer with one line of JSON: first the reason, which says briefly what agrees and what differs, then the \
score: {"reason": "...", "score": "1 to 5"}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeQuestion:
    """Two texts to be compared."""

    id: str
    """Unlike that of any other question of a run."""
    sample_id: str
    group: str
    trial: int
    """Of the answer."""
    field: str
    control: Control
    question: str
    first: str
    second: str
    missing: bool = False
    """There is no answer to be judged: it counts as the lowest score, and no judge is asked."""


def judge_prompt(asked: JudgeQuestion) -> Prompt:
    """What the judge is told. There is no video; texts stand in quotation marks, so that none can pass
    for another part of the question.
    """
    first, second = (json.dumps(text, ensure_ascii=False) for text in (asked.first, asked.second))
    return Prompt(
        system=SYSTEM,
        before=(
            f"Question: {asked.question}\n\nFirst description: {first}\n\n"
            f"Second description: {second}"
        ),
    )


JUDGEMENT = (
    '{"reason": "',
    Text(name="reason", max_tokens=REASON_TOKENS),
    '", "score": "',
    Slot(name="score", choices=tuple(f'{score}"' for score in SCORES)),
    "}",
)
"""The grammar of a judgement: the reason comes first, so that the score follows from it."""


def judge_questions(
    schema: Schema,
    rows: Sequence[Mapping[str, Any]],
    fields: Sequence[str],
    *,
    controls: int,
    seed: int,
) -> Iterator[JudgeQuestion]:
    """Every question about the answers of a run, then those of the controls.

    Args:
        schema: the fields.
        rows: answers: `sample_id`, `group`, `trial`, `gold` and `value` (normalised captions; `value`
            may lack fields). A label that is empty says that there is nothing; one that is absent, that
            nobody looked.
        fields: names of the fields to judge.
        controls: how many clips each control is asked about, for each field.
        seed: decides which.
    """
    for name in fields:
        field = schema.field(name)
        labelled = [row for row in rows if name in row["gold"]]
        for row in labelled:
            yield _question(field, row, "answer", row["gold"][name], row["value"].get(name, _NONE))
        yield from _controls(field, labelled, controls, seed)


_NONE = object()


def _controls(
    field: Field, labelled: Sequence[Mapping[str, Any]], controls: int, seed: int
) -> Iterator[JudgeQuestion]:
    """Of clips whose label says something: two empty texts are no test."""
    name = field.name
    first = {
        row["sample_id"]: row for row in reversed(labelled) if as_text(row["gold"][name]) != NOTHING
    }
    chosen = sorted(first)
    random.Random(f"{seed}/{name}").shuffle(chosen)
    for place, sample_id in enumerate(chosen[:controls]):
        row = first[sample_id]
        gold = row["gold"][name]
        if name in row["value"]:
            yield _question(field, row, "swapped", row["value"][name], gold)
        yield _question(field, row, "same", gold, gold)
        other = _other(first, chosen, place, name)
        if other is not None:
            yield _question(field, row, "other clip", gold, other)


def _other(
    first: Mapping[str, Mapping[str, Any]], chosen: Sequence[str], place: int, name: str
) -> Value:
    """The label that shares fewest words with a clip's own; None where all say the same.

    Labels of two clips may well mean nearly the same, and a judge that says so would be right.
    """
    own = first[chosen[place]]["gold"][name]
    following = [*chosen[place + 1 :], *chosen[:place]]
    values = [first[sample_id]["gold"][name] for sample_id in following]
    others = [v for v in values if folded_text(as_text(v)) != folded_text(as_text(own))]
    return min(others, key=lambda v: word_overlap(as_text(v), as_text(own)), default=None)


def _question(
    field: Field, row: Mapping[str, Any], control: Control, first: Value, second: Any
) -> JudgeQuestion:
    return JudgeQuestion(
        id=f"{field.name}/{control}/{row['trial']}/{row['sample_id']}",
        sample_id=row["sample_id"],
        group=row["group"],
        trial=row["trial"],
        field=field.name,
        control=control,
        question=field.question,
        first=as_text(first),
        second=NOTHING if second is _NONE else as_text(second),
        missing=second is _NONE,
    )


def as_text(value: Value) -> str:
    """A value as the judge reads it."""
    if value is None or value in ("", ()):
        return NOTHING
    return "; ".join(value) if isinstance(value, tuple) else str(value)
