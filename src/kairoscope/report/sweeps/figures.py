"""The figures of a sweep's cells, and which of them wins where it may be chosen: `sweep.json`. Pure.

A setting is chosen on the validation split alone. The figure of the winner on the test split, on which
nothing was chosen, stands beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from kairoscope.core import Record, Task
from kairoscope.report.figures import dig
from kairoscope.report.sweeps.headline import (
    Drawn,
    Row,
    drawn,
    group_word,
    headline_of,
    step_between,
    without_pixels,
    words_of,
)
from kairoscope.runs import Run, read_records

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
    """Answers of a cell, and its headline on the clips that the winner is chosen on."""

    cell: CellRun
    records: Sequence[Record]
    control: Sequence[Record]
    chosen_on: Drawn | None


@dataclass(frozen=True, slots=True)
class _Judge:
    """How cells are judged: the same for all."""

    task: Task[Any, Any]
    draws: int

    def drawn(self, records: Sequence[Record], ids: Sequence[str]) -> Drawn | None:
        """The headline over these clips."""
        return drawn(self.task, _of(records, ids), self.draws)


def sweep_figures(
    folder: Path,
    cells: Sequence[CellRun],
    divided: Divided,
    *,
    task: Task[Any, Any],
    draws: int,
) -> Row:
    """The object of `sweep.json`: a row for every cell, the winner, and its figure on the test split.

    Args:
        folder: of the sweep.
        cells: in the order of the table.
        divided: the split.
        task: whose headline cells are compared by.
        draws: of the bootstrap.
    """
    judge, headline = _Judge(task, draws), headline_of(task)
    read = {
        cell.folder: _read(folder, cell, divided, judge) for cell in cells if cell.problem is None
    }
    rows = [
        _row(place, cell, read.get(cell.folder), divided, judge)
        for place, cell in enumerate(cells, 1)
    ]
    known = [row for row in rows if row["figures"] is not None]
    found: Row = {"cells": rows, "winner": None, "test": None, "split": _split(divided)}
    found["headline"] = {
        "label": headline.label,
        "brief": headline.brief,
        "suffix": headline.suffix,
        "better": headline.better,
        "group": group_word(task),
        **words_of(task.summarize((), draws=0)),
    }
    if known:
        best = min(known, key=lambda row: _rank(row, headline.better))
        found["winner"] = best["number"]
        winner = read[best["folder"]]
        on_test = judge.drawn(winner.records, divided.test)
        found["test"] = on_test and _figures(winner, on_test, divided.test, judge)
        for row in known:
            if row is not best:
                row["against_best"] = _against(
                    winner, read[row["folder"]], divided.validation, judge
                )
    return found


def _split(divided: Divided) -> Row:
    return {
        "how": divided.how,
        "num_validation": len(divided.validation),
        "num_test": len(divided.test),
    }


def _rank(row: Row, better: str) -> tuple[float, float, int]:
    """The better first; of equals the one that reads and writes less, then the one given first."""
    value = row["figures"]["value"]
    tokens = row["prompt_tokens"] + row["new_tokens"]
    return (value if better == "lower" else -value, tokens, row["number"])


def _read(folder: Path, cell: CellRun, divided: Divided, judge: _Judge) -> _Read:
    run = Run.read(folder / CELLS / cell.folder)
    records = read_records(run)
    chosen_on = judge.drawn(records, divided.validation)
    return _Read(cell, records, read_records(run, "control"), chosen_on)


def _of(records: Sequence[Record], ids: Sequence[str]) -> list[Record]:
    wanted = set(ids)
    return [record for record in records if record.sample_id in wanted]


def _row(number: int, cell: CellRun, read: _Read | None, divided: Divided, judge: _Judge) -> Row:
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
    if read.chosen_on is None:
        row["problem"] = "no answer about a clip of the validation split"
    else:
        row["figures"] = _figures(read, read.chosen_on, divided.validation, judge)
    return row | _cost(read)


def _figures(read: _Read, over: Drawn, ids: Sequence[str], judge: _Judge) -> Row:
    """Headline, interval and what it means little without, over these clips."""
    headline = headline_of(judge.task)
    control = _of(read.control, ids)
    # Intervals of everything else stand on the cell's own page.
    metrics = judge.task.summarize(_of(read.records, ids), control=control, draws=1)
    wrong = drawn(judge.task, control, draws=0)
    return {
        "value": over.value,
        "interval": over.interval,
        "prior": without_pixels(metrics, headline),
        "skill": metrics.get("skill"),
        "wrong_video": None if wrong is None else wrong.value,
        "wrong_video_ratio": dig(metrics, "wrong_video/mre_ratio"),
        "answered": metrics["answered"],
        "degenerate": bool(metrics.get("degenerate")),
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


def _against(best: _Read, other: _Read, ids: Sequence[str], judge: _Judge) -> Row | None:
    """How far another cell is from the best over the clips that both have."""
    shared = {r.sample_id for r in best.records} & {r.sample_id for r in other.records} & set(ids)
    sides = [
        read.chosen_on
        if read.chosen_on is not None and read.chosen_on.num_clips == len(shared)
        else judge.drawn(read.records, sorted(shared))
        for read in (best, other)
    ]
    before, after = sides
    if before is None or after is None:
        return None
    return step_between(before, after, headline_of(judge.task).better)
