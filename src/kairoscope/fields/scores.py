"""How right one caption is, field by field. Pure."""

from collections import Counter
from collections.abc import Mapping

from kairoscope.core import Unparsed
from kairoscope.fields.schema import Field, Schema, Value, folded_text

Caption = Mapping[str, Value]


def caption_scores(schema: Schema, answer: Caption | Unparsed, gold: Caption) -> dict[str, float]:
    """`fields_right`: mean over the closed and set fields of the label; texts are not in it.

    A closed field counts 1 where it is right, a set its F1; no answer counts 0.
    """
    given: Caption = {} if isinstance(answer, Unparsed) else answer
    judged = [f for f in schema.fields if f.kind != "text" and f.name in gold]
    parts = [
        field_score(field, given.get(field.name, MISSING), gold[field.name]) for field in judged
    ]
    return {"fields_right": sum(parts) / len(parts) if parts else 0.0}


MISSING = ("no answer",)
"""In the place of a value that an answer does not have; equal to no value of a closed field."""


def field_score(field: Field, given: Value, gold: Value) -> float:
    """Of one field, 0 to 1: exactness, a set's F1, or for texts the overlap of their words."""
    if given is MISSING:
        return 0.0
    if field.kind == "set":
        assert isinstance(given, tuple)
        assert isinstance(gold, tuple)
        return f1(set(given), set(gold))
    if field.kind == "text":
        return word_overlap(given, gold)
    return float(given == gold)


def f1(given: set[str], gold: set[str]) -> float:
    """Harmonic mean of precision and recall of a set; 1 where both are empty."""
    if not given and not gold:
        return 1.0
    return 2 * len(given & gold) / (len(given) + len(gold))


def word_overlap(given: Value, gold: Value) -> float:
    """F1 of the words of two texts, as often as they come: likeness of wording, not of meaning."""
    one, other = (Counter(_words(text)) for text in (given, gold))
    if not one and not other:
        return 1.0
    return 2 * (one & other).total() / (one.total() + other.total())


def _words(text: Value) -> list[str]:
    kept = (c if c.isalnum() else " " for c in folded_text(str(text or "")))
    return "".join(kept).split()
