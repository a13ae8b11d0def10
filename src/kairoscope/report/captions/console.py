"""Figures of captions in a terminal."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kairoscope.report.captions.comparison import Compared, judge_step_rows, step_rows
from kairoscope.report.captions.figures import field_rows
from kairoscope.report.captions.page import summary_words
from kairoscope.report.figures import counted, shown
from kairoscope.report.judgements.pairs import JudgedPair
from kairoscope.report.page import interval


def caption_table(
    metrics: Mapping[str, Any], title: str = "", before: Mapping[str, Any] | None = None
) -> Table:
    """Every field's score beside what is right without looking, and before training where given."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    table.add_column("field")
    old = {row["name"]: row for row in field_rows(before)} if before else {}
    names = [*(["before"] if before else []), "right", "without looking", "wrong video", "kappa"]
    for name in names:
        table.add_column(name, justify="right")
    for row in field_rows(metrics):
        cells = [_share(old.get(row["name"], {}).get("score"))] if before else []
        own = Text(_share(row["score"]), style="bold")
        if row["interval"] is not None:
            own.append(f"\n{interval(row['interval'], '%')}", style="dim not bold")
        kappa = "–" if row["kappa"] is None else shown(row["kappa"])
        measure = "" if row["measure"] == "accuracy" else f"\n{row['measure']}"
        label = Text(row["name"])
        label.append(measure, style="dim")
        table.add_row(label, *cells, own, _share(row["blind"]), _share(row["control"]), kappa)
    table.caption = Text(summary_words(metrics))
    return table


def comparison_table(compared: Compared) -> Table:
    """What one run changes against another, field by field."""
    table = _steps(f"{compared.name} against {compared.first}", "points")
    for row in step_rows(compared.fields):
        _add(table, row, unit="%", words=row["verdict"])
    table.caption = Text("better and worse: the 95 % interval leaves zero out", style="dim")
    return table


def judge_comparison_table(pair: JudgedPair) -> Table:
    """The same of a judge's scores."""
    table = _steps(f"scores of the judge {pair.name}, 1 to 5", "difference")
    for row in judge_step_rows(pair):
        words = row["verdict"] if row["trusted"] else "judge not trusted"
        _add(table, row, unit="", words=words)
    return table


def _steps(title: str, step: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    table.add_column("field")
    for name in ("before", "after", step, "win / tie / loss"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    return table


def _add(table: Table, row: Mapping[str, Any], *, unit: str, words: str) -> None:
    step = Text(
        ("+" if row["difference"] > 0 else "") + shown(row["difference"], unit, bare=True), "bold"
    )
    if row["interval"]:
        step.append(f"\n{row['interval']}", style="dim not bold")
    style = {"better": "green", "worse": "bold red"}.get(words, "dim")
    label = Text(row["label"]).append(f"\n{counted(row['n_clips'], 'clip')}", style="dim")
    before, after = (shown(row[key], unit) for key in ("before", "after"))
    table.add_row(label, before, after, step, row["counts"], Text(words, style=style))


def _share(value: float | None) -> str:
    return "–" if value is None else shown(value, "%")
