"""Two evaluations of captions over the same clips: what changes in each field, with intervals. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from kairoscope.core import Record
from kairoscope.fields.normalise import normalised_label
from kairoscope.fields.schema import Schema
from kairoscope.fields.scores import MISSING, field_score
from kairoscope.metrics.bootstrap import Resamples

ALL = "all fields"
TIE = 1e-9


def paired_captions(
    schema: Schema,
    before: Sequence[Record],
    after: Sequence[Record],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Per field and over all that are not texts: means, difference with its 95 % interval, and how many
    clips are better (`win`), the same (`tie`) or worse (`loss`). Trials of a clip are averaged.
    """
    first, second = (_by_clip(schema, records) for records in (before, after))
    groups = {record.sample_id: record.group for record in after}
    found: dict[str, Any] = {"n_clips": len(first.keys() & second.keys()), "fields": {}}
    for name in (*schema.names, ALL):
        old, new = (
            {clip: scores[name] for clip, scores in side.items() if name in scores}
            for side in (first, second)
        )
        step = paired_step(old, new, groups, draws=draws, seed=seed)
        if step is not None:
            found["fields"][name] = step
    return found


def paired_step(
    before: Mapping[str, float],
    after: Mapping[str, float],
    groups: Mapping[str, str],
    *,
    tie: float = TIE,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Any] | None:
    """What changes over the clips that both have; None where there are none.

    Args:
        before: clip -> its score, more being better.
        after: the same of the other run.
        groups: clip -> its group.
        tie: a clip is better, or worse, that changes by more than this.
        draws: of the bootstrap over groups.
        seed: of the same.
    """
    clips = sorted(before.keys() & after.keys())
    if not clips:
        return None
    steps = [after[clip] - before[clip] for clip in clips]
    resamples = Resamples([groups[clip] for clip in clips], draws, seed)
    return {
        "n_clips": len(clips),
        "before": fmean(before[clip] for clip in clips),
        "after": fmean(after[clip] for clip in clips),
        "difference": fmean(steps),
        "difference_ci95": resamples.mean_interval(steps),
        "win": sum(step > tie for step in steps),
        "tie": sum(abs(step) <= tie for step in steps),
        "loss": sum(step < -tie for step in steps),
    }


def _by_clip(schema: Schema, records: Sequence[Record]) -> dict[str, Mapping[str, float]]:
    """Clip -> field -> mean score of its trials."""
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.gold is None:
            continue
        gold = normalised_label(schema, record.gold)[0]
        given = normalised_label(schema, record.value or {})[0]
        for name, value in gold.items():
            field = schema.field(name)
            one = field_score(field, given.get(name, MISSING), value)
            scores[record.sample_id][name].append(one)
            if field.kind != "text":
                scores[record.sample_id][ALL].append(one)
    return {clip: {n: fmean(v) for n, v in fields.items()} for clip, fields in scores.items()}
