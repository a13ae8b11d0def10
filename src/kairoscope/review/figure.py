"""A clip on one page: frames at its boundaries, recorded signals, and who says what about each end."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kairoscope.core import UserError
from kairoscope.report.stacking import stacked
from kairoscope.review.curves import FUSED
from kairoscope.review.story import Pixels, Span, Story, Trace
from kairoscope.storage import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
COLOURS = (
    *("#0072b2", "#e08e00", "#009e73", "#cc79a7"),
    *("#56b4e9", "#d55e00", "#8f6fc4", "#9a9a2c"),
)
"""Of events: told apart by everybody (Okabe & Ito), and the same as on the pages."""
SOURCES: dict[str, tuple[str, str, Any]] = {
    "model": ("model", "#0067b1", "-"),
    "signals": ("signals", "#b35a00", (0, (5, 2))),
    "prior": ("other demonstrations", "#6b675f", (0, (1.5, 1.5))),
}
LINES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
WIDTH_IN = 11.0
MOST_IN_ROW = 6
INK, MUTED = "#22211e", "#6b675f"


def write_figure(story: Story, file: Path) -> Path:
    """Draw a clip into a .png, .svg or .pdf file and return its path. Raises UserError."""
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(f"--out {file}: allowed: a name that ends in {', '.join(SUFFIXES)}")
    figure = draw(story)
    with whole_file(file) as temporary:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(temporary, dpi=110, format=file.suffix[1:].lower())
    return file


def draw(story: Story) -> "Figure":
    """The figure, without a window."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    moments = _moments(story) if story.picture is not None else []
    columns = min(MOST_IN_ROW, max(4, len(moments)))
    stills = -(-len(moments) // columns)
    pictures = [_picture(story, frame) for frame, _, _ in moments]
    shapes = [picture.shape for picture in pictures if not isinstance(picture, str)]
    aspect = max((height / width for height, width, _ in shapes), default=0.75)
    tall = [0.86 * WIDTH_IN / columns * aspect + 0.24] * stills + [1.0] * len(story.traces)
    tall += [0.45] * bool(story.names) + [0.62] * len(story.names)
    height_in = 1.0 + sum(tall) + 0.1 * len(tall)
    layout = ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.04, hspace=0.0, wspace=0.0)
    figure = Figure(figsize=(WIDTH_IN, height_in), layout=layout, facecolor="white")
    figure.suptitle(f"{story.title}   ·   {story.about}", x=0.01, ha="left", fontsize=12, color=INK)
    grid = figure.add_gridspec(max(1, len(tall)), columns, height_ratios=tall or [1.0])
    for place, ((_, words, colour), picture) in enumerate(zip(moments, pictures, strict=True)):
        axes = figure.add_subplot(grid[place // columns, place % columns])
        _still(axes, picture, words, colour)
    first: Axes | None = None
    rows: list[Axes] = []
    for row in range(stills, len(tall)):
        axes = figure.add_subplot(grid[row, :], sharex=first)
        first = first or axes
        rows.append(axes)
    lanes = iter(rows)
    for trace in story.traces:
        _trace(next(lanes), story, trace)
    if story.names:
        _spans(next(lanes), story)
    for place in range(len(story.names)):
        _curves(next(lanes), story, place)
    _finish(figure, rows, story)
    return figure


def _moments(story: Story) -> list[tuple[int, str, str]]:
    """(frame, words, colour) of the frames that are shown: the first, and every end.

    Without any event, frames all over the clip.
    """
    found = [(0, "start", MUTED)]
    for place, span in enumerate(story.events):
        if span is not None:
            frame = int(np.abs(story.times_s - span.end_s).argmin())
            found.append((frame, f"{place + 1}: {span.end_s:.2f} s, frame {frame}", _colour(place)))
    if len(found) > 1:
        return found
    frames = np.linspace(0, len(story.times_s) - 1, MOST_IN_ROW).round().astype(int).tolist()
    return [(f, f"{story.times_s[f]:.2f} s, frame {f}", MUTED) for f in dict.fromkeys(frames)]


def _picture(story: Story, frame: int) -> Pixels | str:
    """A frame, or why there is none."""
    assert story.picture is not None
    try:
        return story.picture(frame)
    except UserError as error:
        return str(error)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _still(axes: "Axes", picture: Pixels | str, words: str, colour: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    if isinstance(picture, str):
        axes.text(0.5, 0.5, picture[-60:], ha="center", va="center", fontsize=6, wrap=True)
    else:
        axes.imshow(picture)
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2.5)
    axes.set_title(words, fontsize=8.5, color=INK, pad=3)


def _plain(axes: "Axes") -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#d8d3c8")
    axes.tick_params(labelsize=7.5, colors=MUTED, length=2)
    axes.tick_params(axis="x", labelbottom=False)


def _trace(axes: "Axes", story: Story, trace: Trace) -> None:
    _plain(axes)
    for (name, values_T), style in zip(trace.lines, LINES * 3, strict=False):
        axes.plot(story.times_s, values_T, color=INK, linestyle=style, linewidth=1.2, label=name)
    axes.set_ylabel(f"{trace.name}\n{trace.unit}", fontsize=8, rotation=0, ha="right", va="center")
    if len(trace.lines) > 1:
        axes.legend(
            fontsize=7,
            frameon=False,
            ncols=4,
            handlelength=2.5,
            loc="lower right",
            bbox_to_anchor=(1.0, 0.97),  # above the lines, not on them
            borderaxespad=0.0,
        )
    _mark(axes, story.events)


def _mark(axes: "Axes", events: Sequence[Span | None]) -> None:
    for place, span in enumerate(events):
        if span is not None:
            axes.axvline(span.end_s, color=_colour(place), linewidth=1.4)


def _spans(axes: "Axes", story: Story) -> None:
    _plain(axes)
    axes.set_yticks([])
    axes.set_ylim(0, 1)
    there = [(place, span) for place, span in enumerate(story.events) if span is not None]
    rows = stacked([(span.start_s, span.end_s) for _, span in there])
    tall = 1 / (max(rows, default=0) + 1)
    for (place, span), row in zip(there, rows, strict=True):
        middle = 1 - tall * (row + 0.5)
        width_s = span.end_s - span.start_s
        axes.barh(middle, width_s, 0.9 * tall, left=span.start_s, color=_colour(place), alpha=0.85)
        axes.text(
            span.start_s + width_s / 2, middle, str(place + 1), ha="center", va="center", fontsize=8
        )
    axes.set_ylabel("events", fontsize=8, rotation=0, ha="right", va="center")


def _curves(axes: "Axes", story: Story, place: int) -> None:
    _plain(axes)
    axes.set_yticks([])
    axes.set_ylim(0, 1.05)
    own = story.curves.get(f"end {place + 1}", {})
    main = own.get(FUSED, next(iter(own.values()), None))
    if main is not None:
        axes.fill_between(
            story.times_s, main / main.max(), color=_colour(place), alpha=0.45, linewidth=0
        )
    for source, (_, colour, style) in SOURCES.items():
        if source in own and len(own) > 1:
            values_T = own[source] / own[source].max()
            axes.plot(story.times_s, values_T, color=colour, linestyle=style, linewidth=1.1)
    span = story.events[place]
    words = "not placed"
    if span is not None:
        if span.interval_s is not None:
            axes.axvspan(*span.interval_s, color=INK, alpha=0.1, linewidth=0)
        axes.axvline(span.end_s, color=_colour(place), linewidth=1.8)
        sure = "" if span.confidence is None else f", {100 * span.confidence:.0f} % sure"
        words = f"{span.end_s:.2f} s by {span.by}{sure}"
    axes.set_ylabel(
        f"{place + 1}  {_short(story.names[place])}\n{words}",
        fontsize=8,
        rotation=0,
        ha="right",
        va="center",
    )


def _short(name: str) -> str:
    return name if len(name) <= 34 else f"{name[:33]}…"


def _finish(figure: "Figure", rows: Sequence["Axes"], story: Story) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if not rows:
        return
    last = rows[-1]
    last.set_xlim(0, max(float(story.times_s[-1]), 1e-3))
    last.tick_params(axis="x", labelbottom=True)
    last.set_xlabel("s", fontsize=8, color=MUTED)
    named = {source for own in story.curves.values() for source in own}
    shown: list[Any] = [
        Line2D([], [], color=colour, linestyle=style, label=words)
        for source, (words, colour, style) in SOURCES.items()
        if source in named and len(named) > 1
    ]
    if named:
        words = "all together" if FUSED in named else "probability of the end"
        shown.append(Patch(color=_colour(0), alpha=0.45, label=f"{words} (each to its peak)"))
    if any(span and span.interval_s for span in story.events):
        shown.append(Patch(color=INK, alpha=0.1, label="80 % interval"))
    if shown:
        figure.legend(handles=shown, loc="outside lower right", ncols=5, fontsize=8, frameon=False)
