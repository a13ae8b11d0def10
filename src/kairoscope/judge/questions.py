"""What a judge is asked: two texts about one field of one clip, side by side. Pure.

The judge never sees the clip, nor who wrote which text. Besides the answers themselves it is asked about
controls whose score is known beforehand: the label against itself, which must come near 5; the label of
another clip, near 1; and some answers with the two texts in the other order, which must score alike.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kairoscope.core import Prompt, Slot, Text
from kairoscope.fields.schema import Field, Schema, Value, folded_text

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
First say briefly what agrees and what differs, then give the score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeQuestion:
    """Two texts to be compared."""

    id: str
    """Unlike that of any other question of a run."""
    sample_id: str
    trial: int
    """Of the answer."""
    field: str
    control: Control
    question: str
    first: str
    second: str


def judge_prompt(asked: JudgeQuestion) -> Prompt:
    """What the judge is told. There is no video."""
    return Prompt(
        system=SYSTEM,
        before=(
            f"Question: {asked.question}\n\nFirst description: {asked.first}\n\n"
            f"Second description: {asked.second}"
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
        rows: answers: `sample_id`, `trial`, `gold` and `value` (normalised captions; `value` may lack
            fields). An answer without a field is asked about as one that says nothing.
        fields: names of the fields to judge.
        controls: how many clips each control is asked about, for each field.
        seed: decides which.
    """
    for name in fields:
        field = schema.field(name)
        labelled = [row for row in rows if row["gold"].get(name) is not None]
        for row in labelled:
            yield _question(field, row, "answer", row["gold"][name], row["value"].get(name))
        first = {row["sample_id"]: row for row in reversed(labelled)}
        chosen = sorted(first)
        random.Random(f"{seed}/{name}").shuffle(chosen)
        for place, sample_id in enumerate(chosen[:controls]):
            row = first[sample_id]
            gold = row["gold"][name]
            yield _question(field, row, "swapped", row["value"].get(name), gold)
            yield _question(field, row, "same", gold, gold)
            other = _other(first, chosen, place, name)
            if other is not None:
                yield _question(field, row, "other clip", gold, other)


def _other(
    first: Mapping[str, Mapping[str, Any]], chosen: Sequence[str], place: int, name: str
) -> Value:
    """The next label that says something else; None where all say the same."""
    own = as_text(first[chosen[place]]["gold"][name])
    for step in range(1, len(chosen)):
        value: Value = first[chosen[(place + step) % len(chosen)]]["gold"][name]
        if folded_text(as_text(value)) != folded_text(own):
            return value
    return None


def _question(
    field: Field, row: Mapping[str, Any], control: Control, first: Value, second: Value
) -> JudgeQuestion:
    return JudgeQuestion(
        id=f"{field.name}/{control}/{row['trial']}/{row['sample_id']}",
        sample_id=row["sample_id"],
        trial=row["trial"],
        field=field.name,
        control=control,
        question=field.question,
        first=as_text(first),
        second=as_text(second),
    )


def as_text(value: Value) -> str:
    """A value as the judge reads it."""
    if value is None or value in ("", ()):
        return NOTHING
    return "; ".join(value) if isinstance(value, tuple) else str(value)
