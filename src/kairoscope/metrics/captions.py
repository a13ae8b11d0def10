"""Captions of many fields, all together: the object of `metrics.json`. Pure.

Every field stands in the table by itself, beside what is reached without looking: a field that is
nearly always the same is "won" by always saying so. A missing answer is a wrong one. A clip's n trials
weigh 1 / n, so every clip counts once. Intervals resample groups.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kairoscope.core import Record
from kairoscope.fields.normalise import normalised_label
from kairoscope.fields.schema import Field, Schema, Value
from kairoscope.fields.scores import MISSING, Caption, caption_scores, field_score
from kairoscope.metrics.agreement import confusion, weighted_mean
from kairoscope.metrics.bootstrap import Resamples, percentiles
from kairoscope.metrics.by_clip import by_scenario, records_by_clip
from kairoscope.metrics.wording import Pair, wording
from kairoscope.storage import plain

if TYPE_CHECKING:
    from kairoscope.metrics.agreement import Floats

Table = dict[str, Any]
DRAWS_AT_ONCE = 250


# --- all together --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """One answer beside the truth, with its weight."""

    clip: str
    given: Caption
    gold: Caption
    group: str
    weight: float


def summarizer(schema: Schema) -> Callable[..., Table]:
    """The `Task.summarize` of captions by this schema: see `core.Summarize`."""

    def summarize(
        records: Iterable[Record],
        *,
        control: Iterable[Record] | None = None,
        draws: int = 2000,
        seed: int = 0,
    ) -> Table:
        clips = records_by_clip(records)
        table = _table(schema, clips, draws, seed)
        table |= {
            "kind": "caption",
            "schema": plain(schema),
            "wrong_video": None,
            "scenarios": {
                name: _table(schema, some, draws, seed) for name, some in by_scenario(clips).items()
            },
        }
        wrong = records_by_clip(control or [])
        if wrong:
            table["wrong_video"] = _table(schema, wrong, draws, seed)
        return table

    return summarize


def _table(schema: Schema, clips: Mapping[str, Sequence[Record]], draws: int, seed: int) -> Table:
    records = [record for rows in clips.values() for record in rows]
    rows = [
        _Row(
            name,
            normalised_label(schema, r.value or {})[0],
            normalised_label(schema, r.gold)[0],
            r.group,
            1 / len(found),
        )
        for name, found in clips.items()
        for r in found
    ]
    answered = sum(record.unparsed is None for record in records)
    table: Table = {
        "n_clips": len(clips),
        "n_groups": len({row.group for row in rows}),
        "n_trials": len(rows),
        "n_unreadable_clips": sum(all(r.failed for r in found) for found in clips.values()),
        "answered": answered / len(rows) if rows else None,
        "fields": {},
    }
    for field in schema.fields:
        labelled = [row for row in rows if field.name in row.gold]
        if labelled:
            table["fields"][field.name] = _field(field, labelled, draws, seed)
    own = [caption_scores(schema, row.given, row.gold)["fields_right"] for row in rows]
    table |= _mean(own, rows, draws, seed, "fields_right")
    judged = [f["score"] for f in table["fields"].values() if f["kind"] != "text"]
    blind = [f["baseline"]["score"] for f in table["fields"].values() if f["kind"] != "text"]
    table["baseline"] = {"fields_right": sum(blind) / len(blind) if blind else None}
    table["skill"] = _skill(judged, blind)
    return table


def _skill(judged: Sequence[float], blind: Sequence[float]) -> float | None:
    """Share of what the constant answers get wrong that is right now; 0 is no better than they are."""
    wrong, left = sum(1 - score for score in blind), sum(1 - score for score in judged)
    return 1 - left / wrong if wrong > 0 else None


def _mean(values: Sequence[float], rows: Sequence[_Row], draws: int, seed: int, name: str) -> Table:
    """The weighted mean of one value a row, and its interval."""
    total = sum(row.weight for row in rows)
    if not total:
        return {name: None, f"{name}_ci95": None}
    resamples = Resamples([row.group for row in rows], draws, seed)
    weighted = [value * row.weight for value, row in zip(values, rows, strict=True)]
    weights = [row.weight for row in rows]
    return {
        name: sum(weighted) / total,
        f"{name}_ci95": resamples.ratio_interval(weighted, weights),
    }


def _field(field: Field, rows: Sequence[_Row], draws: int, seed: int) -> Table:
    """Everything about one field; `score` is what counts in the headline, the same for all kinds."""
    scores = [
        field_score(field, row.given.get(field.name, MISSING), row.gold[field.name]) for row in rows
    ]
    given = sum(row.weight for row in rows if field.name in row.given)
    table: Table = {
        "kind": field.kind,
        "n_clips": round(sum(row.weight for row in rows)),
        "answered": given / sum(row.weight for row in rows),
        **_mean(scores, rows, draws, seed, "score"),
    }
    if field.closed:
        return table | _closed(field, rows, draws, seed)
    if field.kind == "set":
        return table | {"baseline": _constant_set(field, rows)}
    baseline, others = _another_clip(field, rows)
    own = [row.given.get(field.name, MISSING) for row in rows]
    other = (
        _wording(field, rows, others, 0, seed) if baseline["score"] is not None else None
    ) or {}
    return table | {
        "measure": "overlap of words",
        "wording": _wording(field, rows, own, draws, seed),
        "baseline": baseline | {key: other[key] for key in ("bleu", "rouge_l") if key in other},
    }


def _closed(field: Field, rows: Sequence[_Row], draws: int, seed: int) -> Table:
    """Balanced accuracy, macro-F1 and kappa with intervals, counts, and the majority class."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[_shown(row.gold[field.name])] += row.weight  # type: ignore[assignment]
    commonest = max(counts, key=lambda value: (counts[value], value))
    values = sorted({*counts, *(_shown(row.given.get(field.name, MISSING)) for row in rows)})
    place = {value: i for i, value in enumerate(values, 1)}
    given = [place[_shown(row.given.get(field.name, MISSING))] for row in rows]
    gold = [place[_shown(row.gold[field.name])] for row in rows]
    majority = [place[commonest]] * len(rows)
    table = _figures(given, gold, rows, len(values), draws, seed)
    blind = _figures(majority, gold, rows, len(values), 0, seed)
    cells = confusion(*_arrays(given, gold, rows), len(values))[0]
    return table | {
        "values": values,
        "confusion": [[round(float(cell), 6) for cell in line] for line in cells],
        "counts": {value: round(count, 6) for value, count in sorted(counts.items())},
        "baseline": {
            "answer": commonest,
            "score": counts[commonest] / sum(counts.values()),
            **{name: value for name, value in blind.items() if not name.endswith("_ci95")},
        },
    }


def _shown(value: Value) -> str:
    return "none" if value is None else str(value[0]) if isinstance(value, tuple) else str(value)


def _arrays(
    given: Sequence[int], gold: Sequence[int], rows: Sequence[_Row]
) -> tuple[Floats, Floats, Floats]:
    import numpy as np

    weights = np.array([[row.weight for row in rows]])
    return np.array(given, float), np.array(gold, float), weights


def _figures(
    given: Sequence[int],
    gold: Sequence[int],
    rows: Sequence[_Row],
    classes: int,
    draws: int,
    seed: int,
) -> Table:
    import numpy as np

    given_N, gold_N, own = _arrays(given, gold, rows)
    table: Table = {}
    drawn: dict[str, list[Floats]] = defaultdict(list)
    resamples = Resamples([row.group for row in rows], draws, seed)
    if resamples.num_groups > 1:
        for first in range(0, draws, DRAWS_AT_ONCE):
            weights = resamples.weights(first, first + DRAWS_AT_ONCE) * own
            for name, values in class_figures(confusion(given_N, gold_N, weights, classes)).items():
                drawn[name].append(values)
    for name, values in class_figures(confusion(given_N, gold_N, own, classes)).items():
        table[name] = None if np.isnan(values[0]) else float(values[0])
        joined = np.concatenate(drawn[name]) if drawn[name] else np.array([])
        table[f"{name}_ci95"] = percentiles(joined[~np.isnan(joined)])
    return table


def class_figures(confusion_DCC: Floats) -> dict[str, Floats]:
    """Balanced accuracy, macro-F1 and Cohen's kappa (Cohen, 1960) of each draw (draws,).

    Means are over the classes that are true of some clip. Kappa is 0 where answers are all alike, NaN
    where the truths are.

    Args:
        confusion_DCC: weights (draws, true class, answered class).
    """
    import numpy as np

    true_DC, given_DC = confusion_DCC.sum(axis=2), confusion_DCC.sum(axis=1)
    hits_DC = np.diagonal(confusion_DCC, axis1=1, axis2=2)
    total_D = true_DC.sum(axis=1)
    there_DC = (true_DC > 0).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall_DC = np.where(true_DC > 0, hits_DC / true_DC, 0.0)
        f1_DC = np.where(true_DC > 0, 2 * hits_DC / (true_DC + given_DC), 0.0)
        observed = hits_DC.sum(axis=1) / total_D
        chance = (true_DC * given_DC).sum(axis=1) / total_D**2
        kappa = (observed - chance) / (1 - chance)
        found = {
            "balanced_accuracy": recall_DC.sum(axis=1) / there_DC.sum(axis=1),
            "macro_f1": f1_DC.sum(axis=1) / there_DC.sum(axis=1),
        }
    kappa = np.where((given_DC > 0).sum(axis=1) < 2, 0.0, kappa)
    return found | {"kappa": np.where(there_DC.sum(axis=1) < 2, np.nan, kappa)}


def _constant_set(field: Field, rows: Sequence[_Row]) -> Table:
    """The commonest set for every clip."""
    counts: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        value = row.gold[field.name]
        assert isinstance(value, tuple)
        counts[value] += row.weight  # type: ignore[assignment]
    best = max(counts, key=lambda value: (counts[value], value))
    return {"answer": list(best), "score": _weighted_score(field, rows, [best] * len(rows))}


def _another_clip(field: Field, rows: Sequence[_Row]) -> tuple[Table, list[Value]]:
    """The label of the next clip in the place of an answer: how alike labels are to each other."""
    first = {row.clip: row.gold[field.name] for row in rows}
    after = dict(zip(first, [*list(first)[1:], next(iter(first))], strict=True))
    others = [first[after[row.clip]] for row in rows]
    score = _weighted_score(field, rows, others) if len(first) > 1 else None
    return {"answer": "the label of another clip", "score": score}, others


def _wording(
    field: Field, rows: Sequence[_Row], given: Sequence[Value], draws: int, seed: int
) -> Table | None:
    """BLEU and ROUGE-L of a text, over the clips whose label says something."""
    pairs = [
        Pair(
            given="" if text is None or text is MISSING else str(text),
            gold=str(row.gold[field.name]),
            group=row.group,
            weight=row.weight,
        )
        for text, row in zip(given, rows, strict=True)
        if row.gold[field.name] is not None
    ]
    return wording(pairs, draws=draws, seed=seed)


def _weighted_score(field: Field, rows: Sequence[_Row], given: Sequence[Value]) -> float:
    import numpy as np

    scores = [
        field_score(field, v, row.gold[field.name]) for v, row in zip(given, rows, strict=True)
    ]
    weights = np.array([[row.weight for row in rows]])
    return float(weighted_mean(np.array(scores), weights)[0])
