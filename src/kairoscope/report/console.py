"""Tables for the terminal. They are returned, never printed."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kairoscope.report.captions.console import caption_table
from kairoscope.report.captions.figures import is_caption
from kairoscope.report.comparison.paired import Difference
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
from kairoscope.report.questions.console import question_table
from kairoscope.report.questions.figures import is_question
from kairoscope.report.scores.figures import (
    READING_NAMES,
    SCORE_FIGURES,
    ScoreFigure,
    best_reading,
    ends,
    in_words,
    is_score,
    number,
)
from kairoscope.report.text_page import figure_rows, is_text

NONE = Text("–", style="dim")


def metrics_table(metrics: Mapping[str, Any], title: str = "") -> Table:
    """The figures of a `metrics.json` beside prior, skill and wrong-video control.

    Scores have a table of their own: both readings, and what the best constants would get.
    95 % intervals stand below the figures. The caption has the number of clips and demonstrations
    and the share answered; answers that do not depend on the clip are called so there.
    """
    if is_text(metrics):
        return _text_table(metrics, title)
    if is_caption(metrics):
        return caption_table(metrics, title)
    if is_question(metrics):
        return question_table(metrics, title)
    if is_score(metrics):
        return score_table(metrics, title)
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


def _text_table(metrics: Mapping[str, Any], title: str) -> Table:
    """Of answers in free words."""
    table = _table(title, ("all answers", "wrong video"))
    for name, mean, around, wrong in figure_rows(metrics):
        text = Text("–" if mean is None else shown(mean, ""), style="bold")
        if around is not None:
            text.append(f"\n{interval(around, '')}", style="dim not bold")
        table.add_row(name, text, _cell(wrong, ""))
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
    if is_caption(after):
        return caption_table(after, "Before and after", before)
    if is_question(after):
        return question_table(after, "Before and after", before)
    if is_score(after):
        return score_before_after(before, after)
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


def score_table(metrics: Mapping[str, Any], title: str = "") -> Table:
    """The figures of an evaluation of scores: both readings, the best constant, the wrong video."""
    reading = best_reading(metrics)
    columns = ["expected score", "digit"] if metrics["expected"] else ["digit"]
    table = _table(title, (*columns, "majority", "mean", "wrong video"))
    wrong = metrics["wrong_video"] or {}
    for figure in SCORE_FIGURES:
        readings = ("expected", "digit") if metrics["expected"] else ("digit",)
        others = (metrics["baselines"].get(name) for name in ("majority", "mean"))
        table.add_row(
            figure.label.replace("Quadratic-weighted kappa", "Kappa"),
            *(_score_cell(metrics[name], figure) for name in readings),
            *(Text(in_words(number(one, figure), figure)) for one in others),
            Text(in_words(number(wrong.get(reading), figure), figure)),
        )
    answered = metrics["answered"]
    words = [counted(metrics["n_clips"], "clip"), counted(metrics["n_groups"], "group")]
    words.append("nothing answered" if answered is None else f"{100 * answered:.1f}% answered")
    words.append(f"good: {metrics['good_from']} or more")
    table.caption = Text(", ".join(words))
    if metrics["degenerate"]:
        table.caption.append("\nNearly all answers are one score.", style="bold red")
    return table


def _score_cell(table: Mapping[str, Any] | None, figure: ScoreFigure, style: str = "bold") -> Text:
    text = Text(in_words(number(table, figure), figure), style=style)
    between = ends(table, figure)
    if between is not None:
        text.append(f"\n{interval(between, figure.suffix)}", style="dim not bold")
    return text


def score_before_after(before: Mapping[str, Any], after: Mapping[str, Any]) -> Table:
    """Two evaluations of scores beside each other."""
    table = _table("Before and after", ("before", "after", "majority"))
    for reading, name in READING_NAMES.items():
        if not after[reading]:
            continue
        for figure in SCORE_FIGURES:
            table.add_row(
                f"{figure.label.replace('Quadratic-weighted kappa', 'Kappa')}, {name.lower()}",
                _score_cell(before[reading], figure, style=""),
                _score_cell(after[reading], figure),
                Text(in_words(number(after["baselines"].get("majority"), figure), figure)),
            )
    table.caption = f"{counted(before['n_clips'], 'clip')} before, {after['n_clips']} after"
    return table
