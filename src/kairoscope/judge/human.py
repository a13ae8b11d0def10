"""Scores of people beside those of a judge: how far the judge can stand in for them.

A table (CSV, TSV, XLSX) or JSON lines with `sample_id`, `field` and `score` from 1 to 5; `trial` where an
answer's trial is meant, `rater` where several people scored the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kairoscope.core import UserError
from kairoscope.data.rows import Problem, parse_json_line, read_lines, show
from kairoscope.data.sheets import SUFFIXES, read_sheet
from kairoscope.judge.agreement import krippendorff_alpha
from kairoscope.judge.summary import Judgement
from kairoscope.metrics.agreement import pearson, spearman, weighted_mean
from kairoscope.metrics.bootstrap import Resamples, percentiles

if TYPE_CHECKING:
    from kairoscope.metrics.agreement import Floats

Key = tuple[str, str, int]
"""(field, sample, trial)."""
WITHIN = 1.0
NEEDED = ("sample_id", "field", "score")


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanScore:
    """What one person said of one answer."""

    where: str
    key: Key
    score: int
    rater: str


def read_human(file: Path) -> tuple[list[HumanScore], list[Problem]]:
    """The scores in a file, and what is wrong with its other rows. Raises UserError for no such file."""
    if file.suffix.lower() in SUFFIXES:
        sheet = read_sheet(file)
        rows = [(row.where, dict(row.cells)) for row in sheet.rows]
        problems = list(sheet.problems)
    else:
        rows, problems = _json_rows(file)
    found: list[HumanScore] = []
    for where, row in rows:
        try:
            found.append(_score(where, row))
        except UserError as error:
            problems.append(Problem(where=where, what=str(error)))
    return found, problems


def _json_rows(file: Path) -> tuple[list[tuple[str, dict[str, Any]]], list[Problem]]:
    rows: list[tuple[str, dict[str, Any]]] = []
    problems: list[Problem] = []
    for number, line in read_lines(file):
        where = f"{file}:{number}"
        try:
            row = parse_json_line(line)
            if not isinstance(row, dict):
                raise UserError(f"{show(row)}; allowed: an object with {', '.join(NEEDED)}")
        except UserError as error:
            problems.append(Problem(where=where, what=str(error)))
            continue
        rows.append((where, row))
    return rows, problems


def _score(where: str, row: Mapping[str, Any]) -> HumanScore:
    missing = [name for name in NEEDED if row.get(name) in (None, "")]
    if missing:
        raise UserError(f"{missing[0]} is missing; needed: {', '.join(NEEDED)}")
    score, trial = str(row["score"]).removesuffix(".0"), str(row.get("trial") or 0)
    if score not in ("1", "2", "3", "4", "5"):
        raise UserError(f"score is {show(row['score'])}; allowed: 1 to 5")
    if not trial.isdecimal():
        raise UserError(f"trial is {show(row['trial'])}; allowed: 0, 1, 2, …")
    key = (str(row["field"]), str(row["sample_id"]), int(trial))
    return HumanScore(where=where, key=key, score=int(score), rater=str(row.get("rater") or ""))


def calibrate(
    judgements: Iterable[Judgement],
    people: Sequence[HumanScore],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[dict[str, Any], list[Problem]]:
    """The judge beside people, for each field and over `all`, and scores of answers that were not judged.

    Of several people, and of the judge's repeats, the mean counts; a judgement that failed counts as the
    lowest score. Intervals resample groups.
    """
    own: dict[Key, list[float]] = defaultdict(list)
    groups: dict[Key, str] = {}
    for row in judgements:
        if row.control == "answer" and not row.missing:
            key = (row.field, row.sample_id, row.trial)
            own[key].append(row.counted)
            groups[key] = row.group
    given: dict[Key, list[int]] = defaultdict(list)
    problems = []
    for one in people:
        if one.key in own:
            given[one.key].append(one.score)
        else:
            field, sample, trial = one.key
            what = f"{field} of {sample!r}, trial {trial}: no such answer was judged"
            problems.append(Problem(where=one.where, what=what))
    keys = sorted(given)
    fields = sorted({key[0] for key in keys})
    table = {
        name: _beside([k for k in keys if k[0] == name], own, given, groups, draws, seed)
        for name in fields
    }
    return {"fields": table, "all": _beside(keys, own, given, groups, draws, seed)}, problems


def _beside(
    keys: Sequence[Key],
    own: Mapping[Key, Sequence[float]],
    given: Mapping[Key, Sequence[int]],
    groups: Mapping[Key, str],
    draws: int,
    seed: int,
) -> dict[str, Any]:
    import numpy as np

    table: dict[str, Any] = {
        "n_answers": len(keys),
        "n_scores": sum(len(given[key]) for key in keys),
        "n_groups": len({groups[key] for key in keys}),
        "alpha_people": krippendorff_alpha([given[key] for key in keys]),
    }
    if not keys:
        return table
    judge, people = (
        np.array([sum(side[key]) / len(side[key]) for key in keys], float) for side in (own, given)
    )
    resamples = Resamples([groups[key] for key in keys], draws, seed)
    exact = _figures(judge, people, np.ones((1, len(keys))))
    drawn = _figures(judge, people, resamples.weights(0, resamples.num_draws))
    for name, values in exact.items():
        mean = float(values[0])
        several = drawn[name][~np.isnan(drawn[name])]
        table[name] = None if np.isnan(mean) else mean
        enough = resamples.num_groups > 1 and not np.isnan(mean)
        table[f"{name}_ci95"] = percentiles(several) if enough else None
    return table


def _figures(judge_N: Floats, people_N: Floats, weights_DN: Floats) -> dict[str, Floats]:
    import numpy as np

    step_N = judge_N - people_N
    near_N = (np.abs(step_N) <= WITHIN + 1e-9).astype(float)
    return {
        "pearson": pearson(judge_N, people_N, weights_DN),
        "spearman": spearman(judge_N, people_N, weights_DN),
        "within_one": weighted_mean(near_N, weights_DN),
        "bias": weighted_mean(step_N, weights_DN),
    }
