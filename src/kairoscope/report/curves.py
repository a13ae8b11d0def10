"""Plots along time: training curves over steps, and timelines over a clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from kairoscope.report.plots import NUM_COLOURS, WIDTH, clipped
from kairoscope.report.stacking import stacked
from kairoscope.report.svg import Scale, chart, element, line, short, text, y_axis

SPAN_HEIGHT = 22.0
LANE_GAP = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A curve over training steps."""

    label: str
    points: Sequence[tuple[float, float]]
    """(step, value), in order of steps."""
    colour: str = "model"
    smooth: bool = False
    """Draw the running mean of 1/20 of the curve over the faint raw values."""
    marks: bool = False
    """A dot at every value, for values that are few."""


def curves(series: Sequence[Series], *, title: str, unit: str, aim: float | None = None) -> str:
    """Values over training steps."""
    width, height, top, base = 420.0, 240.0, 30.0, 196.0
    values = [v for s in series for _, v in s.points] + ([] if aim is None else [aim])
    last = max((step for s in series for step, _ in s.points), default=1.0)
    across = Scale(0.0, max(last, 1.0), 56.0, width - 16)
    up = Scale.around(values, base, top)
    body = y_axis(up, across.start, across.stop)
    body += [text(across(v), base + 16, short(v), "tick", "middle") for v in across.ticks(5)]
    body.append(text((across.start + across.stop) / 2, base + 34, "step", "tick", "middle"))
    for place, curve in enumerate(series):
        body += _curve(curve, across, up)
        x = across.stop - 100 * (len(series) - place)
        if len(series) > 1:
            body.append(element("circle", cx=x, cy=14, r=4, class_=f"fill-{curve.colour}"))
            body.append(text(x + 8, 18, curve.label, "tick"))
    if aim is not None:
        body.append(line(across.start, up(aim), across.stop, up(aim), "aim"))
        body.append(text(across.stop, up(aim) - 5, f"target {short(aim)}", "aim", "end"))
    body.append(text(4, 18, unit, "tick"))
    return chart(width, height, body, title)


def _curve(curve: Series, across: Scale, up: Scale) -> list[str]:
    raw = _path([(across(x), up(y)) for x, y in curve.points])
    stroke = f"curve stroke-{curve.colour}"
    if not curve.smooth:
        body = [element("path", d=raw, class_=stroke)]
    else:
        smoothed = [(across(x), up(y)) for x, y in running_mean(curve.points)]
        body = [
            element("path", d=raw, class_=f"{stroke} faint"),
            element("path", d=_path(smoothed), class_=stroke),
        ]
    if curve.marks:
        body += [
            element("circle", cx=across(x), cy=up(y), r=3.5, class_=f"fill-{curve.colour}")
            for x, y in curve.points
        ]
    return body


def running_mean(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The mean over a window of 1/20 of all points that ends at each of them."""
    window = max(1, len(points) // 20)
    return [
        (x, fmean(y for _, y in points[max(0, i + 1 - window) : i + 1]))
        for i, (x, _) in enumerate(points)
    ]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of a timeline: what it is and its intervals (start s, end s, event's place)."""

    label: str
    spans: Sequence[tuple[float, float, int]]


def timeline(lanes: Sequence[Lane], duration_s: float, *, title: str) -> str:
    """Lanes of coloured, numbered intervals over one time axis in s; what overlaps is stacked."""
    left, top = 112.0, 8.0
    across = Scale(0.0, max(duration_s, 1e-3), left, WIDTH - 12)
    rows = [stacked([(start_s, end_s) for start_s, end_s, _ in lane.spans]) for lane in lanes]
    heights = [SPAN_HEIGHT * (max(places, default=0) + 1) for places in rows]
    base = top + sum(heights) + LANE_GAP * len(lanes)
    body = []
    for value in across.ticks(8):
        body.append(line(across(value), top, across(value), base, "grid"))
        body.append(text(across(value), base + 16, f"{short(value)} s", "tick", "middle"))
    y = top + LANE_GAP / 2
    for lane, places, height in zip(lanes, rows, heights, strict=True):
        body.append(text(left - 12, y + height / 2 + 5, clipped(lane.label, 16), "label", "end"))
        across_px = across.stop - left
        body.append(
            element("rect", x=left, y=y, width=across_px, height=height, rx=3, class_="ghost")
        )
        for (start_s, end_s, event), row in zip(lane.spans, places, strict=True):
            body += _span(across, start_s, end_s, event, y + SPAN_HEIGHT * row)
        y += height + LANE_GAP
    return chart(WIDTH, base + 26, body, title)


def _span(across: Scale, start_s: float, end_s: float, event: int, y: float) -> list[str]:
    x0 = min(max(across(start_s), across.start), across.stop)
    x1 = min(max(across(end_s), across.start), across.stop)
    shade = f"e{event % NUM_COLOURS}"
    bar = element(
        "rect", x=x0 + 0.5, y=y, width=max(x1 - x0 - 1, 2.0), height=SPAN_HEIGHT, rx=3, class_=shade
    )
    number = text((x0 + x1) / 2, y + 15, str(event + 1), "on-bar", "middle")
    return [bar, number] if x1 - x0 > 14 else [bar]
