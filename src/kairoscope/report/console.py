"""Tables for the terminal. They are returned, never printed."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kairoscope.report.figures import (
    Figure,
    counted,
    dig,
    figures,
    prior_coverage,
    shown,
    step_unit,
)
from kairoscope.report.page import interval
from kairoscope.report.paired import Difference

NONE = Text("–", style="dim")


def metrics_table(metrics: Mapping[str, Any], title: str = "") -> Table:
    """The figures of a `metrics.json` beside prior, skill and wrong-video control.

    95 % intervals stand below the figures. The caption has the number of clips and demonstrations
    and the share answered; answers that do not depend on the clip are called so there.
    """
    table = _table(title, ("all answers", "prior", "skill", "wrong video", "answered only"))
    for figure in figures(metrics):
        table.add_row(
            figure.kind.brief,
            _with_interval(figure),
            _cell(figure.prior, figure.suffix),
            _cell(figure.skill, ""),
            _cell(figure.control, figure.suffix),
            _cell(figure.answered_only, figure.suffix),
        )
    table.caption = _caption(metrics)
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    """Narrow enough for 80 characters."""
    table = Table(title=Text(title) if title else None, box=box.SIMPLE_HEAD, pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cell(value: float | None, suffix: str) -> Text:
    return NONE if value is None else Text(shown(value, suffix))


def _caption(metrics: Mapping[str, Any]) -> Text:
    answered = metrics.get("answered")
    clips, groups = metrics["n_clips"], metrics.get("n_groups", 0)
    words = [counted(clips, "clip"), counted(groups, "demonstration")]
    words.append("nothing answered" if answered is None else f"{100 * answered:.1f}% answered")
    if coverage := prior_coverage(metrics):
        words.append(f"prior {coverage}")
    ratio = dig(metrics, "wrong_video/mre_ratio")
    if ratio is not None:
        words.append(f"wrong video {ratio:.1f} times the error")
    caption = Text(", ".join(words))
    if metrics.get("degenerate"):
        caption.append("\nThe answers do not depend on the clip.", style="bold red")
    return caption


def before_after_table(
    before: Mapping[str, Any], after: Mapping[str, Any], paired: Sequence[Difference] = ()
) -> Table:
    """Two `metrics.json` beside each other, with paired differences where they are given.

    The prior stands in its own column: a model above it has learnt nothing of use.
    """
    old = {figure.kind.path: figure for figure in figures(before)}
    steps = {step.kind.path: step for step in paired}
    table = _table("Before and after", ("before", "after", "difference", "prior"))
    for figure in figures(after):
        first = old.get(figure.kind.path)
        table.add_row(
            figure.kind.brief,
            NONE if first is None else _with_interval(first, style=""),
            _with_interval(figure),
            _step(first, figure, steps.get(figure.kind.path)),
            _cell(figure.prior, figure.suffix),
        )
    ratios = [dig(metrics, "wrong_video/mre_ratio") for metrics in (before, after)]
    table.add_row("Wrong video, times", *(_cell(ratio, "") for ratio in ratios))
    table.caption = f"{counted(before['n_clips'], 'clip')} before, {after['n_clips']} after"
    return table


def _with_interval(figure: Figure, style: str = "bold") -> Text:
    text = Text(shown(figure.value, figure.suffix), style=style)
    if figure.interval is not None:
        text.append(f"\n{interval(figure.interval, figure.suffix)}", style="dim not bold")
    return text


def _step(first: Figure | None, second: Figure, paired: Difference | None) -> Text:
    """The difference and its interval, green where it is shown to be better."""
    if first is None:
        return NONE
    change = second.value - first.value if paired is None else paired.difference
    verdict = "not shown" if paired is None else paired.verdict
    style = {"better": "bold green", "worse": "bold red", "not shown": ""}[verdict]
    sign = "+" if change > 0 else ""
    text = Text(f"{sign}{shown(change, step_unit(second.suffix))}", style=style)
    if paired is not None and paired.interval is not None:
        words = interval(paired.interval, second.suffix)
        text.append(f"\n{words}", style="dim not bold default")
    return text
