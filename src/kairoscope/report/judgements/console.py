"""A judge's figures in a terminal."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kairoscope.report.figures import counted, shown
from kairoscope.report.judgements.figures import human_rows, judge_rows
from kairoscope.report.page import interval

STYLES = {"good": "green", "bad": "bold red", "warn": "yellow"}


def judge_table(found: Mapping[str, Any], title: str = "") -> Table:
    """Every field's mean score beside the controls that say what it is worth."""
    table = _table(title)
    for name in ("score", "itself", "another", "swapped", "alpha", "failed"):
        table.add_column(name, justify="right")
    table.add_column("judge")
    for row in judge_rows(found):
        table.add_row(
            _field(row["name"], counted(row["num_clips"], "clip")),
            _mean(row["mean"], row["interval"]),
            _number(row["same"]["mean"]),
            _number(row["other"]["mean"]),
            _number(row["swapped"]["mean_change"]),
            _number(row["alpha"]),
            f"{row['share_failed']:.0%}",
            Text(row["verdict"], style=STYLES[row["colour"]]),
        )
    missing = found["all"]["n_missing"]
    words = "1 nothing in common, 5 the same; what failed counts as 1"
    if missing:
        words += f", and so do {counted(missing, 'missing answer')}"
    table.caption = Text(words, style="dim")
    return table


def human_table(found: Mapping[str, Any]) -> Table:
    """The judge beside people."""
    table = _table("beside people")
    for name in ("spearman", "pearson", "within one", "bias", "alpha of people"):
        table.add_column(name, justify="right")
    for row in human_rows(found):
        table.add_row(
            _field(row["name"], counted(row["num_answers"], "answer")),
            *(_mean(*row[key]) for key in ("spearman", "pearson", "within_one", "bias")),
            _number(row["people"]),
        )
    return table


def likeness_table(found: Mapping[str, Any], title: str = "") -> Table:
    """Every field's likeness beside that to other clips' labels. No judge has been asked."""
    table = _table(title)
    for name in ("likeness", "to another label", "more like its own"):
        table.add_column(name, justify="right")
    for name, row in found["fields"].items():
        share = row["separation"]
        table.add_row(
            _field(name.replace("_", " "), counted(row["n_clips"], "clip")),
            _mean(row["mean"], row["mean_ci95"]),
            _number(row["to_another_label"]),
            "–" if share is None else shown(100 * share, "%"),
        )
    table.caption = Text(f"{found['how']}; no judge was asked", style="dim")
    return table


def _table(title: str) -> Table:
    table = Table(
        title=Text(title) if title else None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("field", no_wrap=True)
    return table


def _field(name: str, n: str) -> Text:
    return Text(name).append(f"\n{n}", style="dim")


def _mean(mean: float | None, ends: list[float] | None) -> Text:
    text = Text(_number(mean), style="bold")
    if ends:
        text.append(f"\n{interval(ends)}", style="dim not bold")
    return text


def _number(value: float | None) -> str:
    return "–" if value is None else shown(value)
