"""Plots of what one run changes against another, field by field."""

from collections.abc import Mapping, Sequence
from typing import Any

from kairoscope.report.plots import Bar, bars, clipped
from kairoscope.report.svg import chart, element, text

WIDTH, LEFT = 640.0, 190.0
Row = Mapping[str, Any]
"""`label`, `difference`, `ends` (interval or None), `verdict`, `win`, `tie`, `loss`."""
SHADES = {"better": "model", "worse": "control", "not shown": "prior"}


def difference_plot(rows: Sequence[Row], *, title: str, unit: str) -> str:
    """Differences with their intervals; coloured where the interval leaves zero out."""
    return bars(
        [
            Bar(
                label=row["label"],
                value=row["difference"],
                interval=row["ends"],
                colour=SHADES[row["verdict"]],
            )
            for row in rows
        ],
        title=title,
        unit=unit,
    )


def win_plot(rows: Sequence[Row], *, title: str) -> str:
    """Clips won, tied and lost as parts of one bar a field, with their numbers."""
    pitch, top = 30.0, 26.0
    span = WIDTH - LEFT - 20
    body = [
        text(LEFT, 14, "better", "tick"),
        text(LEFT + span / 2, 14, "the same", "tick", "middle"),
        text(LEFT + span, 14, "worse", "tick", "end"),
    ]
    for place, row in enumerate(rows):
        middle, x = top + pitch * (place + 0.5), LEFT
        body.append(text(LEFT - 12, middle + 4, clipped(row["label"], 28), "label", "end"))
        total = max(1, row["win"] + row["tie"] + row["loss"])
        for key, shade in (("win", "model"), ("tie", "prior"), ("loss", "control")):
            width = span * row[key] / total
            if not row[key]:
                continue
            body.append(
                element(
                    "rect", x=x, y=middle - 9, width=max(width - 1.5, 1.0), height=18, rx=2,
                    class_=f"fill-{shade} soft",
                )
            )  # fmt: skip
            body.append(text(x + width / 2, middle + 4, str(row[key]), "strong", "middle"))
            x += width
    return chart(WIDTH, top + pitch * len(rows) + 8, body, title)
