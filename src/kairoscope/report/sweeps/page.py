"""The page of a sweep: which setting wins, by how much, and what each costs. From `sweep.json` alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kairoscope.core import UserError
from kairoscope.report.blocks import (
    Block,
    Bullets,
    Card,
    Cards,
    Cell,
    Code,
    Heading,
    Link,
    Number,
    Paragraph,
    Plot,
    Table,
)
from kairoscope.report.document import write_document
from kairoscope.report.figures import counted, shown, step_unit
from kairoscope.report.page import interval
from kairoscope.report.sweeps.figures import CELLS
from kairoscope.report.sweeps.plots import axis_plot, cost_plot
from kairoscope.runs import Run
from kairoscope.storage import canonical_json

Row = Mapping[str, Any]
PAGE = "sweep"


def write_sweep_page(folder: Path) -> Path:
    """Write `sweep.html` and `sweep.md` into a sweep's folder and return the path of the HTML.

    Raises `UserError` where the sweep has no figures yet.
    """
    run = Run.read(folder)
    found = run.read_json("sweep.json")
    if not isinstance(found, dict) or "cells" not in found:
        raise UserError(f"{folder}: has no sweep.json yet; run the same evaluate command again")
    _, html = write_document(sweep_blocks(run, found), folder, PAGE, kicker="Sweep")
    return html


def sweep_blocks(run: Run, found: Row) -> list[Block]:
    """The whole document."""
    rows = [row for row in found["cells"] if row["figures"] is not None]
    axes = list(found["cells"][0]["values"])
    label, unit = found["headline"]["label"], found["headline"]["suffix"]
    plots: list[Block] = [
        Plot(
            f"sweep-{axis}",
            axis_plot(axis, rows, label=label, unit=unit),
            f"{label} against {axis}",
        )
        for axis in axes
    ]
    drawn = [*plots, *_cost(found, rows)] if rows else []
    return [
        Heading(1, f"{_and(axes)}: {counted(len(found['cells']), 'setting')}"),
        Paragraph(verdict(found)),
        *_cards(found),
        Heading(2, "All settings"),
        Paragraph(_about_table(found)),
        _table(found),
        *_problems(found),
        Heading(2, "Against each setting"),
        *drawn,
        Heading(2, "How the clips were divided"),
        Paragraph(f"{found['split']['how']}."),
        Heading(2, "What was the same for all"),
        Code(canonical_json(run.config, indent=1), "json"),
        Code(str((run.read_json("environment.json") or {}).get("command", "")), "console"),
    ]


def _cost(found: Row, rows: list[Row]) -> list[Block]:
    label, unit = found["headline"]["label"], found["headline"]["suffix"]
    drawn = cost_plot(rows, winner=found["winner"], label=label, unit=unit)
    return [Plot("sweep-cost", drawn, f"{label} against cost; numbers are those of the table")]


def _and(names: list[str]) -> str:
    words = " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
    return words[:1].upper() + words[1:]


def winner_of(found: Row) -> Row | None:
    """The row of the cell that wins."""
    return next((row for row in found["cells"] if row["number"] == found["winner"]), None)


def verdict(found: Row) -> str:
    """The result in a few sentences."""
    best = winner_of(found)
    if best is None:
        return "Not one setting has figures."
    headline = found["headline"]
    unit, group = headline["suffix"], headline["group"]
    chosen = "on the validation split" if found["test"] else "on all clips"
    words = (
        f"Of {counted(len(found['cells']), 'setting')}, {best['name']} does best. {headline['label']} "
        f"{chosen}: {_with_interval(best['figures'], unit, group)}."
    )
    if found["test"]:
        measured = _with_interval(found["test"], unit, group)
        words += f" On the test split, on which nothing was chosen: {measured}."
    else:
        words += " Nothing is left to measure it on: this figure is flattering."
    if best["figures"]["degenerate"]:
        words += " Its answers do not depend on the clip."
    return f"{words} {_rivals(found)}"


def _with_interval(figures: Row, unit: str, group: str) -> str:
    ends = interval(figures["interval"], unit)
    groups = counted(figures["n_groups"], group)
    about = f"95 %: {ends}; " if ends else ""
    return (
        f"{shown(figures['value'], unit)} ({about}{counted(figures['n_clips'], 'clip')}, {groups})"
    )


def _rivals(found: Row) -> str:
    others = [row["against_best"] for row in found["cells"] if row["against_best"] is not None]
    if not others:
        return "There is no other to compare it with."
    worse = sum(other["verdict"] == "worse" for other in others)
    same = len(others) - worse
    if not same:
        return "Every other is worse beyond chance."
    if not worse:
        return "None of the others can be told from it on these clips."
    return f"{worse} of the others are worse beyond chance, {same} cannot be told from it on these clips."


def _cards(found: Row) -> list[Block]:
    best, headline = winner_of(found), found["headline"]
    if best is None:
        return []
    unit = headline["suffix"]
    measured = found["test"] or best["figures"]
    where = "test" if found["test"] else "all clips"
    ratio = measured["wrong_video_ratio"]
    times = "the same, asked about another clip"
    if measured["wrong_video"] is None:
        times = "not measured"
    elif ratio is not None:
        times = f"{ratio:.1f} times the error with the right one"
    return [
        Cards(
            [
                Card(
                    f"{headline['label']}, {where}",
                    Number(measured["value"], unit),
                    f"{best['name']}; 95 %: {interval(measured['interval'], unit) or 'unknown'}",
                ),
                Card(
                    "The same, where it was chosen",
                    Number(best["figures"]["value"], unit),
                    "the best of several is flattered by chance",
                ),
                Card(
                    headline["prior"],
                    Number(measured["prior"], unit),
                    f"{where}, {headline['prior_note']}",
                ),
                Card("Skill", Number(measured["skill"]), headline["skill_note"]),
                Card("Wrong-video control", Number(measured["wrong_video"], unit), times),
                Card("Answered", Number(100 * measured["answered"], "%"), "the rest at its worst"),
            ]
        )
    ]


def _about_table(found: Row) -> str:
    where = "the validation split" if found["test"] else "all clips"
    group = found["headline"]["group"]
    return (
        f"Figures are those of {where}, with 95 % intervals over {group}s; {found['headline']['better']} is "
        f"better. Differences are from the best over the same clips (paired bootstrap over {group}s); one whose interval "
        "holds zero is not shown to be real. Seconds, tokens (prompt + new) and cost are those of a clip with "
        "all its trials."
    )


def _table(found: Row) -> Table:
    unit = found["headline"]["suffix"]
    priced = any(row.get("cost") is not None for row in found["cells"])
    columns = (
        *("No.", "Setting", found["headline"]["brief"], "To the best", "Answered", "Skill"),
        *("Wrong video", "Seconds", "Tokens"),
        *(("Cost of 1,000",) if priced else ()),
    )
    rows = [_cells(row, unit, found["winner"], priced=priced) for row in found["cells"]]
    return Table(columns, rows, 2)


def _cells(row: Row, unit: str, winner: int | None, *, priced: bool) -> list[Cell]:
    number = f"{row['number']}\u00a0★" if row["number"] == winner else str(row["number"])
    figures = row["figures"]
    if figures is None:
        return [number, row["name"], *([Number(None)] * (8 if priced else 7))]
    step = row["against_best"] or {"difference": None, "interval": None}
    cells: list[Cell] = [
        number,
        Link(row["name"], f"{CELLS}/{quote(row['folder'])}/report.html"),
        Number(figures["value"], unit, figures["interval"]),
        Number(step["difference"], step_unit(unit), step["interval"], signed=True),
        f"{100 * figures['answered']:.0f}%",
        Number(figures["skill"]),
        Number(figures["wrong_video"], unit),
        Number(row["seconds"]),
        f"{row['prompt_tokens']:,.0f} + {row['new_tokens']:,.0f}",
    ]
    if priced:
        cells.append(Number(None if row["cost"] is None else 1000 * row["cost"]))
    return cells


def _problems(found: Row) -> list[Block]:
    failed = [f"{row['name']}: {row['problem']}" for row in found["cells"] if row["problem"]]
    same = [
        f"{row['name']}: the answers do not depend on the clip"
        for row in found["cells"]
        if row["figures"] is not None and row["figures"]["degenerate"]
    ]
    if not failed and not same:
        return []
    return [Heading(2, "Problems"), Bullets([*failed, *same])]
