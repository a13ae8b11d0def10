"""How alike answers and labels are by themselves, where no judge can be asked: no judgement, and never called one.

`lexical`: F1 of the words of both texts. `embedding`: cosine of two vectors that a local model makes of
them. Both measure likeness, from 0 to 1; neither knows that "no" turns a sentence around. Beside each
answer stands how like it is to the label of another clip: where that is as much, the mean says nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from kairoscope.fields.scores import word_overlap
from kairoscope.judge.questions import JudgeQuestion
from kairoscope.metrics.bootstrap import Resamples

Measure = Literal["lexical", "embedding"]
MEASURES: tuple[Measure, ...] = ("lexical", "embedding")
LEXICAL = (
    "F1 of the words that both texts have, as often as they come; case and punctuation do not count"
)
Likeness = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Pairs of texts -> how alike they are, 0 to 1."""
Row = dict[str, Any]


def lexical(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """See `LEXICAL`."""
    return [word_overlap(first, second) for first, second in pairs]


def similarity_rows(questions: Sequence[JudgeQuestion], likeness: Likeness) -> list[Row]:
    """A row for each answer: how like its label it is, and how like that of another clip.

    An answer that is not there has 0, and is compared with no other label.
    """
    answers = [question for question in questions if question.control == "answer"]
    given = [question for question in answers if not question.missing]
    others = _others(answers)
    own = dict(
        zip((q.id for q in given), likeness([(q.first, q.second) for q in given]), strict=True)
    )
    compared = [(q, others[q.id]) for q in given if q.id in others]
    foreign = dict(
        zip(
            (q.id for q, _ in compared),
            likeness([(label, q.second) for q, label in compared]),
            strict=True,
        )
    )
    return [_row(q, own.get(q.id, 0.0), foreign.get(q.id)) for q in answers]


def _row(question: JudgeQuestion, own: float, other: float | None) -> Row:
    return {
        "id": question.id,
        "sample_id": question.sample_id,
        "group": question.group,
        "trial": question.trial,
        "field": question.field,
        "first": question.first,
        "second": question.second,
        "similarity": round(float(own), 6),
        "to_another_label": None if other is None else round(float(other), 6),
        "missing": question.missing,
    }


def _others(answers: Sequence[JudgeQuestion]) -> dict[str, str]:
    """For each answer the next clip's label of the same field that says something else."""
    found: dict[str, str] = {}
    for field in dict.fromkeys(question.field for question in answers):
        own = [question for question in answers if question.field == field]
        labels = list({q.sample_id: q.first for q in own}.items())
        place = {name: index for index, (name, _) in enumerate(labels)}
        for question in own:
            following = (
                labels[place[question.sample_id] + 1 :] + labels[: place[question.sample_id]]
            )
            other = next((label for _, label in following if label != question.first), None)
            if other is not None:
                found[question.id] = other
    return found


def summarize_similarity(
    rows: Sequence[Mapping[str, Any]], fields: Sequence[str], *, draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Means over clips with intervals over groups, for each field, and beside them the likeness to labels of
    other clips. `separation`: share of answers that are more like their own label than another's; a half is
    what answers get that have nothing to do with their clip, and a measure that tells nothing.
    """
    found = {}
    for name in fields:
        own = [row for row in rows if row["field"] == name]
        clips = {row["sample_id"]: row["group"] for row in own}
        means = [
            fmean(row["similarity"] for row in own if row["sample_id"] == clip) for clip in clips
        ]
        compared = [row for row in own if row["to_another_label"] is not None]
        won = [_won(row["similarity"], row["to_another_label"]) for row in compared]
        found[name] = {
            "n_clips": len(clips),
            "n_answers": len(own),
            "n_missing": sum(row["missing"] for row in own),
            "mean": _mean(means),
            "mean_ci95": Resamples(list(clips.values()), draws, seed).mean_interval(means),
            "to_another_label": _mean(row["to_another_label"] for row in compared),
            "separation": _mean(won),
            "n_compared": len(compared),
        }
    return {"fields": found}


def _won(own: float, other: float) -> float:
    return 0.5 if own == other else float(own > other)


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return fmean(numbers) if numbers else None
