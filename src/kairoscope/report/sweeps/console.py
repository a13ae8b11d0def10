"""The table of a sweep for the terminal. It is returned, never printed."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kairoscope.report.figures import shown, step_unit
from kairoscope.report.page import interval

NONE = Text("–", style="dim")


def sweep_table(found: Mapping[str, Any], title: str = "") -> Table:
    """One row a setting: the figure, its difference from the best, what it means little without, cost.

    `found` is the object of `sweep.json`. 95 % intervals stand below the figures.
    """
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.title_justify = table.caption_justify = "left"
    table.add_column("")
    table.add_column("", min_width=11)
    priced = any(row.get("cost") is not None for row in found["cells"])
    where = "validation" if found["test"] else "all clips"
    names = (where, "against best", "answered", "skill", "wrong", "s", "tokens")
    for name in (*names, *(("cost/1000",) if priced else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found["cells"]:
        table.add_row(*_cells(row, found, priced=priced))
    table.caption = Text(
        f"{found['headline']['label']}, 95 % intervals; wrong: about the wrong video; s, tokens (prompt + "
        "new): a clip with all its trials"
    )
    return table


def _cells(row: Mapping[str, Any], found: Mapping[str, Any], *, priced: bool) -> list[Text]:
    unit = found["headline"]["suffix"]
    best = row["number"] == found["winner"]
    number = Text(f"{row['number']}{'*' if best else ''}", style="bold" if best else "")
    name = Text(row["name"], style="bold" if best else "")
    figures = row["figures"]
    if figures is None:
        return [number, name, Text("no figures", style="red"), *([NONE] * (7 if priced else 6))]
    step = row["against_best"]
    difference = NONE
    if step is not None:
        sign = "+" if step["difference"] > 0 else ""
        words = f"{sign}{shown(step['difference'], step_unit(unit), bare=True)}"
        style = "bold red" if step["verdict"] == "worse" else ""
        difference = _above(Text(words, style=style), step["interval"], unit)
    cells = [
        number,
        name,
        _above(Text(shown(figures["value"], unit), style="bold"), figures["interval"], unit),
        difference,
        Text(f"{100 * figures['answered']:.0f}%"),
        NONE if figures["skill"] is None else Text(shown(figures["skill"])),
        NONE if figures["wrong_video"] is None else Text(shown(figures["wrong_video"], unit)),
        NONE if row["seconds"] is None else Text(shown(row["seconds"])),
        Text(f"{row['prompt_tokens']:.0f}+{row['new_tokens']:.0f}"),
    ]
    if priced:
        cells.append(NONE if row["cost"] is None else Text(shown(1000 * row["cost"])))
    return cells


def _above(words: Text, ends: tuple[float, float] | None, unit: str) -> Text:
    if ends is None:
        return words
    return words.append(f"\n{interval(ends, unit)}", style="dim not bold default")
