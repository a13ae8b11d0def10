"""The plots of the reports, each a function from numbers to one SVG.

Every colour is told apart by a label or a place as well, so that nothing hangs on seeing it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from kairoscope.report.svg import Scale, chart, element, line, short, signed, text, x_axis, y_axis

WIDTH = 640.0
LEFT = 150.0
MOST_POINTS = 1500
NUM_BINS = 24
NUM_COLOURS = 8
Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One value with its 95 % interval."""

    label: str
    value: float
    interval: Interval = None
    colour: str = "model"
    """`model`, `prior`, `control`, `other` or `ink`."""
    note: str = ""


def bars(rows: Sequence[Bar], *, title: str, unit: str, aim: float | None = None) -> str:
    """Horizontal bars from zero with whiskers, and a dashed line at the value aimed for."""
    pitch, top = 34.0, 14.0 if aim is None else 28.0
    base = top + pitch * len(rows)
    ends = [end for row in rows for end in (row.value, *(row.interval or ()))]
    scale = Scale.around([*ends, *(() if aim is None else (aim,))], LEFT, WIDTH - 70)
    body = x_axis(scale, top, base, unit)
    for place, row in enumerate(rows):
        middle = top + pitch * (place + 0.5)
        x0, x1 = sorted((scale(0.0), scale(row.value)))
        body.append(text(LEFT - 12, middle + 4, clipped(row.label, 23), "label", "end"))
        body.append(
            element(
                "rect", x=x0, y=middle - 8, width=max(x1 - x0, 1.0), height=16, rx=2,
                class_=f"fill-{row.colour} soft",
            )
        )  # fmt: skip
        body += _whisker(scale, row.interval, middle)
        label_x = max(scale(end) for end in (row.value, 0.0, *(row.interval or ()))) + 8
        body.append(text(label_x, middle + 4, f"{short(row.value)}{row.note}", "strong"))
    if aim is not None:
        body += _aim(scale, aim, top, base, unit)
    return chart(WIDTH, base + 40, body, title)


def _whisker(scale: Scale, interval: Interval, y: float) -> list[str]:
    if interval is None:
        return []
    low, high = scale(interval[0]), scale(interval[1])
    return [
        line(low, y, high, y, "stroke-ink whisker"),
        line(low, y - 4, low, y + 4, "stroke-ink whisker"),
        line(high, y - 4, high, y + 4, "stroke-ink whisker"),
    ]


def _aim(scale: Scale, aim: float, top: float, base: float, unit: str) -> list[str]:
    x = scale(aim)
    words = f"target {short(aim)}{'' if unit.startswith('%') else ' '}{unit.split(' ')[0]}"
    return [line(x, top - 6, x, base, "aim"), text(x, top - 11, words, "aim", "middle")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One estimate with its 95 % interval, for `dots`."""

    label: str
    value: float
    interval: Interval = None
    colour: int | None = None
    """Index of an event's colour, or None for the model's."""
    note: str = ""


def dots(rows: Sequence[Dot], *, title: str, unit: str, aim: float | None = None) -> str:
    """Points with intervals, one row each: for comparing many things of one kind."""
    pitch, top = 28.0, 14.0 if aim is None else 28.0
    base = top + pitch * len(rows)
    left, width = 320.0, 860.0
    ends = [end for row in rows for end in (row.value, *(row.interval or ()))]
    scale = Scale.around([*ends, *(() if aim is None else (aim,))], left, width - 70)
    body = x_axis(scale, top, base, unit)
    for place, row in enumerate(rows):
        middle = top + pitch * (place + 0.5)
        shade = "fill-model" if row.colour is None else f"e{row.colour % NUM_COLOURS}"
        body.append(text(left - 14, middle + 4, clipped(row.label, 46), "label", "end"))
        body += _whisker(scale, row.interval, middle)
        body.append(element("circle", cx=scale(row.value), cy=middle, r=6, class_=shade))
        label_x = max(scale(end) for end in (row.value, *(row.interval or ()))) + 12
        body.append(text(label_x, middle + 4, f"{short(row.value)}{row.note}", "tick"))
    if aim is not None:
        body += _aim(scale, aim, top, base, unit)
    return chart(width, base + 40, body, title)


def histogram(errors_s: Sequence[float], *, title: str) -> str:
    """Signed errors in s (below 0: too early) in 24 bins around 0, with their median."""
    width, top, base = 420.0, 26.0, 376.0
    largest = max((abs(e) for e in errors_s), default=1.0) or 1.0
    half = Scale.around([largest], 0, 1).high
    scale = Scale(-half, half, 44.0, width - 16)
    counts = [0] * NUM_BINS
    for error in errors_s:
        counts[min(NUM_BINS - 1, int((error + half) / (2 * half) * NUM_BINS))] += 1
    up = Scale.around([float(max(counts))], base, top)
    step = (scale.stop - scale.start) / NUM_BINS
    body = y_axis(up, scale.start, scale.stop)
    for place, count in enumerate(counts):
        if count:
            x, y = scale.start + place * step + 0.75, up(count)
            bar = element("rect", x=x, y=y, width=step - 1.5, height=base - y, class_=_HISTOGRAM)
            body.append(bar)
    body += [text(scale(v), base + 16, signed(v), "tick", "middle") for v in scale.ticks(6)]
    body.append(line(scale(0), top, scale(0), base, "axis"))
    if errors_s:
        middle = median(errors_s)
        at, words = scale(middle), f"median {signed(middle)} s"
        left = middle < half / 3
        body.append(line(at, top - 4, at, base, "aim"))
        body.append(
            text(at + (6 if left else -6), top - 8, words, "aim", "start" if left else "end")
        )
    center = (scale.start + scale.stop) / 2
    body.append(text(scale.start, base + 36, "← too early", "tick"))
    body.append(text(center, base + 36, "error of ends, s", "tick", "middle"))
    body.append(text(scale.stop, base + 36, "too late →", "tick", "end"))
    return chart(width, base + 48, body, title)


_HISTOGRAM = "fill-model soft"


@dataclass(frozen=True, slots=True)
class Point:
    """One boundary: truth and answer in s, and the place of its event (for the colour)."""

    gold_s: float
    answer_s: float
    event: int


def scatter(points: Sequence[Point], *, title: str) -> str:
    """Answered against true end, with the diagonal on which a perfect answer lies.

    Of more than 1,500 points every k-th is drawn, and the plot says so.
    """
    width, height, top, base = 420.0, 430.0, 26.0, 376.0
    ends = [t for p in points for t in (p.gold_s, p.answer_s)]
    across = Scale.around(ends, 52.0, width - 16)
    up = Scale(across.low, across.high, base, top)
    body = x_axis(across, top, base, "true end, s", count=6)
    body += y_axis(up, across.start, across.stop, count=6)
    body.append(line(across.start, base, across.stop, top, "diagonal"))
    every = -(-len(points) // MOST_POINTS) if points else 1
    for p in points[::every]:
        shade = f"e{p.event % NUM_COLOURS} soft"
        body.append(element("circle", cx=across(p.gold_s), cy=up(p.answer_s), r=3.5, class_=shade))
    body.append(text(across.start - 38, 14, "answered end, s", "tick"))
    if every > 1:
        words = f"every {every}th of {len(points)} points"
        body.append(text(across.stop, base + 50, words, "tick", "end"))
    return chart(width, height, body, title)


def clipped(words: str, length: int) -> str:
    """Words cut to a length, with an ellipsis where something was cut."""
    return words if len(words) <= length else f"{words[: length - 1]}…"
