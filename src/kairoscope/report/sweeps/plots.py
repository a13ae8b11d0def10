"""The plots of a sweep: the error against each setting, and against what a clip costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from kairoscope.report.plots import NUM_COLOURS, clipped
from kairoscope.report.svg import Scale, chart, element, line, text, x_axis, y_axis

Row = Mapping[str, Any]
WIDTH, TOP, BASE = 420.0, 26.0, 286.0
LEGEND = 18.0
DODGE = 9.0
"""Pixels between two cells at the same value."""


def axis_plot(axis: str, rows: Sequence[Row], *, label: str, unit: str) -> str:
    """The figure at every value of a setting, with 95 % intervals; one colour for each rest of the settings.

    Args:
        axis: name of the setting.
        rows: of the cells with figures.
        label: of the figure.
        unit: of the figure, as it follows a number.
    """
    places = list(dict.fromkeys(_word(row["values"][axis]) for row in rows))
    series: dict[str, list[Row]] = {}
    for row in rows:
        series.setdefault(_rest(axis, row), []).append(row)
    named = len(series) > 1 and len(series) <= NUM_COLOURS
    base = BASE + 34
    height = base + (LEGEND * len(series) + 8 if named else 0)
    up = _scale(rows)
    step = (WIDTH - 16 - 52) / len(places)
    body = [*y_axis(up, 52.0, WIDTH - 16), text(4, 14, f"{label}{_in(unit)}", "tick")]
    for place, words in enumerate(places):
        x = 52 + step * (place + 0.5)
        body.append(text(x, BASE + 16, clipped(words, max(6, int(step / 6))), "tick", "middle"))
    body.append(text((52 + WIDTH - 16) / 2, base, axis, "tick", "middle"))
    for number, (words, members) in enumerate(series.items()):
        shade = number % NUM_COLOURS if named else 0
        shift = (number - (len(series) - 1) / 2) * min(DODGE, step / (len(series) + 1))
        at = [
            52 + step * (places.index(_word(row["values"][axis])) + 0.5) + shift for row in members
        ]
        body += _path(at, members, up, shade)
        for x, row in zip(at, members, strict=True):
            body += _point(x, row, up, shade)
        if named:
            y = base + LEGEND * (number + 1)
            body.append(element("circle", cx=58, cy=y - 4, r=4, class_=f"e{shade}"))
            body.append(text(68, y, clipped(words, 56), "tick"))
    return chart(WIDTH, height + 8, body, f"{label} against {axis}")


def _rest(axis: str, row: Row) -> str:
    others = {name: value for name, value in row["values"].items() if name != axis}
    return ", ".join(f"{name} {_word(value)}" for name, value in others.items())


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in(unit: str) -> str:
    return f", {unit.strip()}" if unit.strip() else ""


def _scale(rows: Sequence[Row]) -> Scale:
    values = [row["figures"]["value"] for row in rows]
    ends = [end for row in rows for end in row["figures"]["interval"] or ()]
    return Scale.around([*values, *ends], BASE, TOP)


def _path(at: Sequence[float], rows: Sequence[Row], up: Scale, shade: int) -> list[str]:
    if len(rows) < 2:
        return []
    points = zip(at, (up(row["figures"]["value"]) for row in rows), strict=True)
    drawn = "".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
    return [element("path", d=drawn, class_=f"curve s{shade} soft")]


def _point(x: float, row: Row, up: Scale, shade: int) -> list[str]:
    return [*_whisker(x, row, up, f"s{shade} whisker"), _dot(x, row, up, f"e{shade}")]


def _whisker(x: float, row: Row, up: Scale, class_: str) -> list[str]:
    ends = row["figures"]["interval"]
    if ends is None:
        return []
    low, high = up(ends[0]), up(ends[1])
    caps = [line(x - 3, y, x + 3, y, class_) for y in (low, high)]
    return [line(x, low, x, high, class_), *caps]


def _dot(x: float, row: Row, up: Scale, class_: str) -> str:
    return element("circle", cx=x, cy=up(row["figures"]["value"]), r=4.5, class_=class_)


def cost_plot(rows: Sequence[Row], *, winner: int, label: str, unit: str) -> str:
    """The figure against the cost of a clip, or its seconds where no price is known; numbers are cells."""
    priced = all(row["cost"] is not None for row in rows)
    key, words = ("cost", "cost of 1,000 clips") if priced else ("seconds", "seconds a clip")
    factor = 1000.0 if priced else 1.0
    known = [row for row in rows if row[key] is not None]
    up = _scale(rows)
    across = Scale.around([factor * row[key] for row in known], 52.0, WIDTH - 30)
    body = [*x_axis(across, TOP, BASE, words), *y_axis(up, 52.0, WIDTH - 30)]
    body.append(text(4, 14, f"{label}{_in(unit)}", "tick"))
    for row in known:
        x = across(factor * row[key])
        is_best = row["number"] == winner
        body += _whisker(x, row, up, f"stroke-{'other' if is_best else 'model'} soft")
        body.append(_dot(x, row, up, f"fill-{'other' if is_best else 'model'}"))
        y = up(row["figures"]["value"]) - 7
        class_ = "strong" if is_best else "tick"
        body.append(text(x + 6, y, str(row["number"]), class_))
    return chart(WIDTH, BASE + 48, body, f"{label} against {words}")
