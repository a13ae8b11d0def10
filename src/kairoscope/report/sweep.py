"""The figures of a sweep's cells, and which of them wins where it may be chosen: `sweep.json`. Pure.

A setting is chosen on the validation split alone. The figure of the winner on the test split, on which
nothing was chosen, stands beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from kairoscope.core import Record, Summarize
from kairoscope.report.figures import HEADLINE, dig, headline
from kairoscope.report.paired import ClipScores, clip_scores, differences
from kairoscope.runs import Run, read_records

Row = dict[str, Any]
SumUp = Callable[..., dict[str, Any]]
"""(records, control) -> metrics."""
CELLS = "cells"
"""In the sweep's folder: one evaluation a cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRun:
    """A cell as the sweep left it."""

    name: str
    folder: str
    """Below `CELLS`."""
    values: Mapping[str, Any]
    problem: str | None
    """Why it has no figures, or None."""
    prices: tuple[float, float] | None = None
    """Of a million tokens asked and answered, where they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """Which clips a setting is chosen on, and which are left to measure the choice on."""

    validation: tuple[str, ...]
    test: tuple[str, ...]
    """Empty where there are too few groups, and everything is `validation`."""
    how: str
    """In words."""


@dataclass(frozen=True, slots=True)
class _Read:
    """Answers of a cell."""

    cell: CellRun
    records: Sequence[Record]
    control: Sequence[Record]
    scores: Mapping[str, ClipScores]


def sweep_figures(
    folder: Path,
    cells: Sequence[CellRun],
    divided: Divided,
    *,
    summarize: Summarize,
    draws: int,
) -> Row:
    """The object of `sweep.json`: a row for every cell, the winner, and its figure on the test split.

    Args:
        folder: of the sweep.
        cells: in the order of the table.
        divided: the split.
        summarize: of the task.
        draws: of the bootstrap.
    """
    sum_up = partial(summarize, draws=draws)
    read = {cell.folder: _read(folder, cell) for cell in cells if cell.problem is None}
    rows = [
        _row(place, cell, read.get(cell.folder), divided, sum_up)
        for place, cell in enumerate(cells, 1)
    ]
    known = [row for row in rows if row["figures"] is not None]
    found: Row = {"cells": rows, "winner": None, "test": None, "split": _split(divided)}
    found["headline"] = {
        "label": HEADLINE.label,
        "brief": HEADLINE.brief,
        "suffix": HEADLINE.suffix,
        "better": HEADLINE.better,
    }
    if known:
        best = min(known, key=_rank)
        found["winner"] = best["number"]
        found["test"] = _figures(read[best["folder"]], divided.test, sum_up)
        for row in known:
            if row is not best:
                pair = (read[best["folder"]], read[row["folder"]])
                row["against_best"] = _against(*pair, divided.validation)
    return found


def _split(divided: Divided) -> Row:
    return {
        "how": divided.how,
        "num_validation": len(divided.validation),
        "num_test": len(divided.test),
    }


def _rank(row: Row) -> tuple[float, float, int]:
    """The better first; of equals the one that reads and writes less, then the one given first."""
    value = row["figures"]["value"]
    tokens = row["prompt_tokens"] + row["new_tokens"]
    return (value if HEADLINE.better == "lower" else -value, tokens, row["number"])


def _read(folder: Path, cell: CellRun) -> _Read:
    run = Run.read(folder / CELLS / cell.folder)
    records = read_records(run)
    return _Read(cell, records, read_records(run, "control"), clip_scores(records))


def _row(number: int, cell: CellRun, read: _Read | None, divided: Divided, sum_up: SumUp) -> Row:
    row: Row = {
        "number": number,
        "name": cell.name,
        "folder": cell.folder,
        "values": dict(cell.values),
        "problem": cell.problem,
        "figures": None,
        "against_best": None,
    }
    if read is None:
        return row
    row["figures"] = _figures(read, divided.validation, sum_up)
    if row["figures"] is None:
        row["problem"] = "no answer about a clip of the validation split"
    return row | _cost(read)


def _figures(read: _Read, ids: Sequence[str], sum_up: SumUp) -> Row | None:
    """Headline, interval and what it means little without, over these clips; None without any."""
    wanted = set(ids)
    records = [record for record in read.records if record.sample_id in wanted]
    if not records:
        return None
    control = [record for record in read.control if record.sample_id in wanted]
    metrics = sum_up(records, control=control)
    figure = headline(metrics)
    return {
        "value": figure.value,
        "interval": figure.interval,
        "prior": figure.prior,
        "skill": figure.skill,
        "wrong_video": figure.control,
        "wrong_video_ratio": dig(metrics, "wrong_video/mre_ratio"),
        "answered": metrics["answered"],
        "degenerate": metrics["degenerate"],
        "n_clips": metrics["n_clips"],
        "n_groups": metrics["n_groups"],
    }


def _cost(read: _Read) -> Row:
    """Means over clips. All trials of a clip share one prompt, and so pay for it once."""
    by_clip: dict[str, list[Record]] = {}
    for record in read.records:
        if not record.failed:
            by_clip.setdefault(record.sample_id, []).append(record)
    clips = list(by_clip.values())
    if not clips:
        return {"seconds": None, "prompt_tokens": 0.0, "new_tokens": 0.0, "cost": None}
    prompt = fmean(clip[0].num_prompt_tokens for clip in clips)
    new = fmean(sum(record.num_new_tokens for record in clip) for clip in clips)
    cost = None
    if read.cell.prices is not None:
        cost = (prompt * read.cell.prices[0] + new * read.cell.prices[1]) / 1e6
    return {
        "seconds": fmean(sum(record.seconds for record in clip) for clip in clips),
        "prompt_tokens": prompt,
        "new_tokens": new,
        "cost": cost,
    }


def _against(best: _Read, other: _Read, ids: Sequence[str]) -> Row | None:
    """How much worse another cell is than the best, clip by clip (paired bootstrap over groups)."""
    wanted = set(ids)
    pair = [
        {name: score for name, score in read.scores.items() if name in wanted}
        for read in (best, other)
    ]
    step = next((d for d in differences(*pair) if d.kind is HEADLINE), None)
    if step is None:
        return None
    return {
        "difference": step.difference,
        "interval": step.interval,
        "verdict": step.verdict,
        "n_clips": step.num_clips,
    }
