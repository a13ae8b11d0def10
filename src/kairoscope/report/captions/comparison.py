"""Captions of two runs beside each other: fields, a judge's scores where both have them, wins and losses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.fields.schema import schema_from_json
from kairoscope.metrics.caption_pairs import ALL, paired_captions
from kairoscope.report.answered_run import AnsweredRun
from kairoscope.report.captions.figures import verdict
from kairoscope.report.comparison.plots import difference_plot, win_plot
from kairoscope.report.figures import Interval
from kairoscope.report.judgements.pairs import JudgedPair, judged_pairs
from kairoscope.report.page import interval, svg
from kairoscope.report.shares import percent_ends

Steps = Mapping[str, Mapping[str, Any]]
"""Field -> what `paired_step` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One run against the first."""

    first: str
    name: str
    num_clips: int
    """That both have."""
    fields: Steps
    judges: Sequence[JudgedPair]
    notes: Sequence[str]


def compare_captions(runs: Sequence[AnsweredRun], judges: Sequence[Path] = ()) -> list[Compared]:
    """Every run after the first against it. `judges`: judges' runs that lie elsewhere than in these."""
    first = runs[0]
    found = []
    for run in runs[1:]:
        schema = schema_from_json(run.metrics["schema"])
        paired = paired_captions(schema, first.records, run.records)
        pairs, notes = judged_pairs(first.run.path, run.run.path, judges)
        found.append(
            Compared(
                first=first.name,
                name=run.name,
                num_clips=paired["n_clips"],
                fields=paired["fields"],
                judges=pairs,
                notes=notes,
            )
        )
    return found


def comparison_json(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """What the page says, for programs."""
    return [
        {
            "before": one.first,
            "after": one.name,
            "n_clips": one.num_clips,
            "fields": dict(one.fields),
            "judges": [
                {
                    "judge": pair.name,
                    "fields": {
                        name: {**step, "trusted": pair.trusted(name)}
                        for name, step in pair.fields.items()
                    },
                }
                for pair in one.judges
            ],
            "notes": list(one.notes),
        }
        for one in compared
    ]


def pair_rows(one: Compared) -> dict[str, Any]:
    """Tables and plots of one comparison."""
    rows = step_rows(one.fields)
    return {
        "name": one.name,
        "num_clips": one.num_clips,
        "rows": rows,
        "notes": one.notes,
        "plot": svg(difference_plot(rows, title="Difference of every field", unit="points")),
        "wins": svg(win_plot(rows, title="Clips won, tied and lost")),
        "judges": [_judge(pair) for pair in one.judges],
    }


def _judge(pair: JudgedPair) -> dict[str, Any]:
    rows = judge_step_rows(pair)
    return {
        "name": pair.name,
        "rows": rows,
        "plot": svg(
            difference_plot(rows, title="Difference of the judge's scores", unit="points of 1 to 5")
        ),
    }


def step_rows(fields: Steps) -> list[dict[str, Any]]:
    """One row a field in percent, all fields together first."""
    return [
        {
            **_row(name, table, percent_ends(table["difference_ci95"]), "%"),
            **{key: 100 * table[key] for key in ("before", "after", "difference")},
        }
        for name, table in sorted(fields.items(), key=lambda item: item[0] != ALL)
    ]


def judge_step_rows(pair: JudgedPair) -> list[dict[str, Any]]:
    """One row a field in points of the judge's scale."""
    rows = []
    for name, table in pair.fields.items():
        between = table["difference_ci95"]
        ends = None if between is None else (between[0], between[1])
        row = _row(name, table, ends, "")
        rows.append(row | {"trusted": pair.trusted(name)})
    return rows


def _row(
    name: str, table: Mapping[str, Any], between: Interval | None, unit: str
) -> dict[str, Any]:
    return {
        "label": name.replace("_", " "),
        **{key: table[key] for key in ("n_clips", "before", "after", "difference")},
        "ends": between,
        "interval": interval(between, unit) if between else "",
        **{key: table[key] for key in ("win", "tie", "loss")},
        "counts": f"{table['win']} / {table['tie']} / {table['loss']}",
        "verdict": verdict(between),
    }


def judge_scores(
    compared: Sequence[Compared], runs: Sequence[AnsweredRun]
) -> dict[str, list[Mapping[str, float]]]:
    """Field -> each run's scores by clip, of the first judge that has judged them all; else nothing."""
    if not compared or any(not one.judges for one in compared):
        return {}
    pairs = [one.judges[0] for one in compared]
    if len({pair.other.judge for pair in pairs}) > 1:
        return {}
    sides = [pairs[0].first, *(pair.other for pair in pairs)]
    assert len(sides) == len(runs)
    shared = set.intersection(*(set(side.scores) for side in sides))
    return {field: [side.scores[field] for side in sides] for field in sorted(shared)}
