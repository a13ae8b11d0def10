"""Figures of captions in a terminal."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kairoscope.report.caption_figures import field_rows
from kairoscope.report.caption_page import summary_words
from kairoscope.report.figures import shown
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


def _share(value: float | None) -> str:
    return "–" if value is None else shown(value, "%")
