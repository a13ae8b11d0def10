"""Scores from 1 to 5: of one answer, and of all together: the object of `metrics.json`. Pure.

Two readings of an answer are judged side by side: the `digit` that it says, and the `expected` value
of the distribution over the five digits, where the engine gives one. A failed answer counts as the
score that is farthest from the truth, in both.

An answer of a clip with n trials weighs 1 / n, so every clip counts once. Intervals resample groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kairoscope.core import Answered, Record, Unparsed
from kairoscope.metrics import agreement
from kairoscope.metrics.bootstrap import Resamples, percentiles
from kairoscope.metrics.by_clip import by_scenario, records_by_clip
from kairoscope.scale import GOOD_FROM, HIGHEST, LOWEST, SCORES, farthest_score

if TYPE_CHECKING:
    from kairoscope.metrics.agreement import Floats

FIGURES = (
    "pearson",
    "spearman",
    "kappa",
    "mae",
    "exact",
    "within_one",
    "bias",
    "precision",
    "recall",
    "f1",
)
READINGS = ("digit", "expected")
DRAWS_AT_ONCE = 250
NEARLY_ALL = 0.9
"""Share of the answers that must be the same score for them to be called degenerate, where at most
half of the truths are."""
Table = dict[str, Any]


def one_score(answer: int | Unparsed, gold: int) -> dict[str, float]:
    """The scores of one answer: `mae` (0 to 4), `exact` and `within_one` (0 or 1).

    (exact + within_one) / 2 is the graded reward 1, 0.5 or 0 of reinforcement learning.
    """
    if isinstance(answer, Unparsed):
        return {"mae": float(abs(farthest_score(gold) - gold)), "exact": 0.0, "within_one": 0.0}
    error = abs(answer - gold)
    return {"mae": float(error), "exact": float(error == 0), "within_one": float(error <= 1)}


def together(answers: Sequence[Answered]) -> dict[str, float]:
    """Figures that no mean of single scores gives: `<figure>` of the digits, `expected_<figure>`.

    `pearson`, `spearman` and `kappa`; 0 where it is not defined. Without distributions, the expected
    value is the digit.
    """
    rows = [_observation(a.value, a.expected, int(a.gold), a.group, 1.0) for a in answers]
    if not rows:
        return {}
    found: dict[str, float] = {}
    for reading in READINGS:
        figures = _figures(rows, reading, None)
        for name in ("pearson", "spearman", "kappa"):
            value = figures[name][0]
            prefix = "" if reading == "digit" else "expected_"
            found[prefix + name] = 0.0 if value != value else float(value)
    found["expected_mae"] = float(_figures(rows, "expected", None)["mae"][0])
    return found


@dataclass(frozen=True, slots=True)
class Observation:
    """One answer beside the truth."""

    digit: int
    expected: float
    gold: int
    group: str
    weight: float


def _observation(
    value: int | Unparsed | None, expected: float | None, gold: int, group: str, weight: float
) -> Observation:
    if value is None or isinstance(value, Unparsed):
        worst = farthest_score(gold)
        return Observation(worst, float(worst), gold, group, weight)
    return Observation(value, float(value) if expected is None else expected, gold, group, weight)


def summarize_scores(
    records: Iterable[Record],
    *,
    control: Iterable[Record] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Table:
    """Every figure of an evaluation of scores, in the form of `metrics.json` (docs/physics.md).

    `control`: answers to the same questions about a wrong clip. Figures that there is nothing to take
    from are None. The result depends on the set of records only, not on their order.

    Raises ValueError for two records of one clip and trial.
    """
    records = list(records)
    clips = records_by_clip(records)
    tables = {name: _table(some, draws, seed) for name, some in by_scenario(clips).items()}
    flagged = [name for name, table in tables.items() if table["degenerate"]]
    summary = _table(clips, draws, seed)
    summary |= {
        "kind": "score",
        "good_from": GOOD_FROM,
        "degenerate_scenarios": flagged,
        "n_unlabelled": len({record.sample_id for record in records if record.gold is None}),
        "wrong_video": None,
        "scenarios": tables,
    }
    wrong = records_by_clip(list(control or []))
    if wrong:
        summary["wrong_video"] = _table(wrong, draws, seed)
    return summary


def observations(clips: Mapping[str, Sequence[Record]]) -> list[Observation]:
    """One a record; those of a clip weigh 1 together."""
    return [
        _observation(r.value, r.extra.get("expected"), int(r.gold), r.group, 1 / len(rows))
        for rows in clips.values()
        for r in rows
    ]


def _table(clips: Mapping[str, Sequence[Record]], draws: int, seed: int) -> Table:
    rows = [row for found in clips.values() for row in found]
    answered = sum(row.unparsed is None for row in rows)
    seen = observations(clips)
    golds = Counter(int(found[0].gold) for found in clips.values())
    has_expected = any("expected" in row.extra for row in rows)
    table: Table = {
        "n_clips": len(clips),
        "n_groups": len({row.group for row in rows}),
        "n_trials": len(rows),
        "n_unreadable_clips": sum(all(r.failed for r in found) for found in clips.values()),
        "answered": answered / len(rows) if rows else None,
        "labels": {str(score): golds.get(score, 0) for score in SCORES},
        "confusion": _confusion(clips),
        "degenerate": _is_degenerate(rows, golds),
        "digit": None,
        "expected": None,
        "gain": None,
        "baselines": {},
    }
    if not seen:
        return table
    resamples = Resamples([one.group for one in seen], draws, seed)
    digit = _drawn(seen, "digit", resamples)
    table["digit"] = _with_intervals(seen, "digit", digit)
    table["baselines"] = _baselines(seen)
    if has_expected:
        expected = _drawn(seen, "expected", resamples)
        table["expected"] = _with_intervals(seen, "expected", expected)
        table["gain"] = _gain(table, digit, expected)
    return table | _skill(table)


def _figures(
    seen: Sequence[Observation], reading: str, weights_DN: Floats | None
) -> dict[str, Floats]:
    """Every figure of one reading (draws,); NaN where it is not defined."""
    import numpy as np

    own_N = np.array([one.weight for one in seen])
    weights = own_N[None, :] if weights_DN is None else weights_DN * own_N
    gold = np.array([float(one.gold) for one in seen])
    given = np.array([float(getattr(one, reading)) for one in seen])
    # Half up, as people round; numpy rounds 2.5 to 2.
    whole = np.clip(np.floor(given + 0.5), LOWEST, HIGHEST)
    table = agreement.confusion(whole, gold, weights, HIGHEST)
    return {
        "pearson": agreement.pearson(given, gold, weights),
        "spearman": agreement.spearman(given, gold, weights),
        "kappa": agreement.quadratic_kappa(table),
        "mae": agreement.weighted_mean(np.abs(given - gold), weights),
        "exact": agreement.weighted_mean((whole == gold).astype(float), weights),
        "within_one": agreement.weighted_mean((np.abs(whole - gold) <= 1).astype(float), weights),
        "bias": agreement.weighted_mean(given - gold, weights),
        **agreement.detection(whole >= GOOD_FROM, gold >= GOOD_FROM, weights),
    }


def _drawn(
    seen: Sequence[Observation], reading: str, resamples: Resamples
) -> dict[str, Floats] | None:
    """Every figure in every bootstrap draw; None for fewer than two groups."""
    import numpy as np

    if resamples.num_groups < 2:
        return None
    parts = [
        _figures(seen, reading, resamples.weights(first, first + DRAWS_AT_ONCE))
        for first in range(0, resamples.num_draws, DRAWS_AT_ONCE)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in FIGURES}


def _with_intervals(
    seen: Sequence[Observation], reading: str, drawn: Mapping[str, Floats] | None
) -> Table:
    table: Table = {}
    for name, values in _figures(seen, reading, None).items():
        value = float(values[0])
        table[name] = None if value != value else value
        draws = None if drawn is None else drawn[name]
        table[f"{name}_ci95"] = (
            None if draws is None or value != value else percentiles(draws[draws == draws])
        )
    return table


def _gain(
    table: Mapping[str, Any],
    digit: Mapping[str, Floats] | None,
    expected: Mapping[str, Floats] | None,
) -> Table:
    """What the expected value changes against the digit, on the same draws."""
    found: Table = {}
    for name in FIGURES:
        old, new = table["digit"][name], table["expected"][name]
        found[name] = None if old is None or new is None else new - old
        steps = None if digit is None or expected is None else expected[name] - digit[name]
        found[f"{name}_ci95"] = None if steps is None else percentiles(steps[steps == steps])
    return found


def _baselines(seen: Sequence[Observation]) -> Table:
    """The best that one score for all clips could do: the commonest true score, and their mean.

    Both are taken from the clips that are judged, so no constant answer is better than they are.
    """
    import numpy as np

    weight: Counter[int] = Counter()
    for one in seen:
        weight[one.gold] += one.weight  # type: ignore[assignment]
    majority = max(SCORES, key=lambda score: (weight[score], -score))
    mean = sum(score * share for score, share in weight.items()) / sum(weight.values())
    found: Table = {}
    for name, value in (("majority", float(majority)), ("mean", mean)):
        same = [Observation(majority, value, one.gold, one.group, one.weight) for one in seen]
        figures = _figures(same, "expected", None)
        found[name] = {"score": value} | {
            key: None if np.isnan(v[0]) else float(v[0]) for key, v in figures.items()
        }
    return found


def _skill(table: Mapping[str, Any]) -> Table:
    """1 - error / error of the better constant: 0 is no better than not looking."""
    constant = min(table["baselines"][name]["mae"] for name in ("majority", "mean"))
    reading = table["expected"] or table["digit"]
    return {"skill": 1 - reading["mae"] / constant if constant > 0 else None}


def _confusion(clips: Mapping[str, Sequence[Record]]) -> list[list[float]]:
    """[true score - 1][answered score - 1], the last column for answers that failed; clips count 1."""
    table = [[0.0] * (len(SCORES) + 1) for _ in SCORES]
    for rows in clips.values():
        for row in rows:
            place = len(SCORES) if row.value is None else int(row.value) - 1
            table[int(row.gold) - 1][place] += 1 / len(rows)
    return [[round(cell, 6) for cell in line] for line in table]


def _is_degenerate(rows: Sequence[Record], golds: Counter[int]) -> bool:
    """Whether nearly all answers are one score where at most half of the truths are.

    A model that was trained on uneven labels ends here: it says the commonest one.
    """
    said = Counter(int(row.value) for row in rows if row.value is not None)
    if not said or not golds or len({row.group for row in rows}) < 3:
        return False
    score, times = said.most_common(1)[0]
    return times / said.total() >= NEARLY_ALL and golds[score] / golds.total() <= 0.5


def paired_scores(
    before: Iterable[Record], after: Iterable[Record], *, draws: int = 2000, seed: int = 0
) -> Table:
    """Every figure of two runs over the clips that both have, and their difference on equal draws.

    Returns `n_clips` and, for each reading that both have, figure -> `before`, `after`, `difference`
    and `difference_ci95` (None for fewer than two groups, and where a figure is not defined).
    """
    first, second = records_by_clip(list(before)), records_by_clip(list(after))
    shared = first.keys() & second.keys()
    sides = [{name: clips[name] for name in sorted(shared)} for clips in (first, second)]
    found: Table = {"n_clips": len(shared)}
    if not shared:
        return found
    for reading in READINGS:
        if reading == "expected" and not all(_has_expected(side) for side in sides):
            continue
        seen = [observations(side) for side in sides]
        values = [_figures(rows, reading, None) for rows in seen]
        # Draws follow from the names of the groups and the seed alone, so both runs have the same.
        drawn = [
            _drawn(rows, reading, Resamples([o.group for o in rows], draws, seed)) for rows in seen
        ]
        found[reading] = {
            name: _step(name, [float(v[name][0]) for v in values], drawn) for name in FIGURES
        }
    return found


def _has_expected(clips: Mapping[str, Sequence[Record]]) -> bool:
    return any("expected" in row.extra for rows in clips.values() for row in rows)


def _step(
    name: str, values: Sequence[float], drawn: Sequence[Mapping[str, Floats] | None]
) -> Table:
    old, new = (None if value != value else value for value in values)
    first, second = drawn
    ends = None
    if first is not None and second is not None and old is not None and new is not None:
        steps = second[name] - first[name]
        ends = percentiles(steps[steps == steps])
    difference = None if old is None or new is None else new - old
    return {"before": old, "after": new, "difference": difference, "difference_ci95": ends}
