"""What all records of an evaluation say together: the object of `metrics.json`. Pure.

Order of averaging, everywhere: events of an answer, trials of a clip, clips. Intervals resample
groups of clips. See docs/scores.md for every formula.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from kairoscope.core import Record
from kairoscope.events import Query
from kairoscope.metrics.bootstrap import Resamples
from kairoscope.metrics.clips import KINDS, RECALL_AT, ClipRow, clip_rows, mean, timed
from kairoscope.metrics.degenerate import is_degenerate

Table = dict[str, Any]


def summarize(
    records: Iterable[Record],
    *,
    control: Iterable[Record] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Table:
    """Every score of an evaluation, in the form of `metrics.json`.

    `control`: answers to the same questions about a wrong clip. Records without gold are counted
    and not scored. Scores without anything to take them from are None, never 0. The result
    depends on the set of records only, not on their order.

    Raises ValueError for two records of one clip and trial.
    """
    records = list(records)
    rows = clip_rows(records)
    scenarios: dict[str, list[ClipRow]] = defaultdict(list)
    for row in rows:
        scenarios[row.clip.scenario].append(row)
    tables = {
        name: _table(scenarios[name], draws, seed) | {"degenerate": _degenerate(scenarios[name])}
        for name in sorted(scenarios)
    }
    flagged = [name for name, table in tables.items() if table["degenerate"]]
    summary = _table(rows, draws, seed) | {
        "degenerate": bool(flagged),
        "degenerate_scenarios": flagged,
        "n_unlabelled": len({record.sample_id for record in records if record.gold is None}),
        "wrong_video": None,
        "scenarios": tables,
    }
    wrong = clip_rows(control or [])
    if wrong:
        summary["wrong_video"] = _wrong_video(rows, wrong, draws, seed)
    return summary


def _table(rows: Sequence[ClipRow], draws: int, seed: int) -> Table:
    """The scores of some clips together."""
    resamples = Resamples([row.clip.group for row in rows], draws, seed)
    num_records = sum(row.num_records for row in rows)
    num_answered = sum(row.num_answered for row in rows)
    table: Table = {
        "n_clips": len(rows),
        "n_groups": len({row.clip.group for row in rows}),
        "n_trials": num_records,
        "n_unreadable_clips": sum(row.failed for row in rows),
        "answered": num_answered / num_records if num_records else None,
    }
    for kind in KINDS:
        table[kind] = {
            over: _errors(rows, f"{kind}.{over}", resamples) for over in ("all", "answered_only")
        }
    table["tiou_mean"], table["tiou_ci95"] = _score(rows, "tiou", resamples)
    recall = {threshold: _score(rows, f"recall.{threshold}", resamples) for threshold in RECALL_AT}
    table["recall"] = {threshold: value for threshold, (value, _) in recall.items()}
    table["recall_ci95"] = {threshold: interval for threshold, (_, interval) in recall.items()}
    for name, column in (("hit_rate", "hit"), ("events_found", "found"), ("names_right", "named")):
        table[name], table[f"{name}_ci95"] = _score(rows, column, resamples)
    return table | _against_prior(rows, resamples)


def _score(
    rows: Sequence[ClipRow], column: str, resamples: Resamples
) -> tuple[float | None, list[float] | None]:
    values = [row.columns[column] for row in rows]
    return mean(values), resamples.mean_interval(values)


def _errors(rows: Sequence[ClipRow], prefix: str, resamples: Resamples) -> Table:
    mae_s, mae_ci95 = _score(rows, f"{prefix}.mae_s", resamples)
    mre_percent, mre_ci95 = _score(rows, f"{prefix}.mre_percent", resamples)
    return {
        "mae_s": mae_s,
        "mae_ci95": mae_ci95,
        "mre_percent": mre_percent,
        "mre_ci95": mre_ci95,
        "n_clips": sum(row.columns[f"{prefix}.mae_s"] is not None for row in rows),
    }


def _against_prior(rows: Sequence[ClipRow], resamples: Resamples) -> Table:
    """The leave-one-out prior's errors of the ends, and the skill over it on the same clips."""
    table: Table = {"prior": {}}
    for column, key in (("mae_s", "mae_ci95"), ("mre_percent", "mre_ci95")):
        prior = [row.prior.get(f"ends.all.{column}") for row in rows]
        own = [row.columns[f"ends.all.{column}"] for row in rows]
        table["prior"] |= {column: mean(prior), key: resamples.mean_interval(prior)}
        ratio_ci95 = resamples.ratio_interval(own, prior)
        name = {"mae_s": "skill_mae", "mre_percent": "skill"}[column]
        table[name] = _skill(own, prior)
        table[f"{name}_ci95"] = ratio_ci95 and [1 - ratio_ci95[1], 1 - ratio_ci95[0]]
    table["prior"] |= {
        "n_clips": sum(bool(row.prior) for row in rows),
        "relative": {
            column: mean(row.relative_prior.get(f"ends.all.{column}") for row in rows)
            for column in ("mae_s", "mre_percent")
        },
    }
    return table


def _skill(own: Sequence[float | None], prior: Sequence[float | None]) -> float | None:
    """1 - error / prior's error over the clips that have both; None where the prior is perfect."""
    pairs = [(o, p) for o, p in zip(own, prior, strict=True) if o is not None and p is not None]
    total = sum(p for _, p in pairs)
    return 1 - sum(o for o, _ in pairs) / total if total > 0 else None


def _degenerate(rows: Sequence[ClipRow]) -> bool:
    """Of one scenario, among clips that were asked the same."""
    alike: dict[Query, list[ClipRow]] = defaultdict(list)
    for row in rows:
        alike[row.clip.query].append(row)
    return any(
        is_degenerate(
            [answer for row in part for answer in row.answers],
            [timed(row.clip, row.clip.gold) for row in part],
        )
        for part in alike.values()
    )


def _wrong_video(rows: Sequence[ClipRow], wrong: Sequence[ClipRow], draws: int, seed: int) -> Table:
    """Scores of the control, and how many times worse they are than those of the same clips."""
    resamples = Resamples([row.clip.group for row in wrong], draws, seed)
    own = {row.clip.id: row.columns for row in rows}
    table: Table = {
        "n_clips": len(wrong),
        "answered": sum(row.num_answered for row in wrong) / sum(row.num_records for row in wrong),
        "ends": {
            over: _errors(wrong, f"ends.{over}", resamples) for over in ("all", "answered_only")
        },
        "tiou_mean": _score(wrong, "tiou", resamples)[0],
        "events_found": _score(wrong, "found", resamples)[0],
    }
    for column, name in (("mae_s", "mae_ratio"), ("mre_percent", "mre_ratio")):
        key = f"ends.all.{column}"
        theirs = [row.columns[key] for row in wrong]
        ours = [own.get(row.clip.id, {}).get(key) for row in wrong]
        skill = _skill(theirs, ours)
        table[name] = None if skill is None else 1 - skill
        table[f"{name}_ci95"] = resamples.ratio_interval(theirs, ours)
    return table
