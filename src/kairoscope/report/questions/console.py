"""Figures of questions in a terminal."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kairoscope.report.figures import counted, shown
from kairoscope.report.page import interval
from kairoscope.report.questions.figures import choice_rows, open_rows

COLUMNS = ("right", "blind", "chance", "commonest", "wrong video")
BESIDE = ("before", "right", "blind", "commonest")
"""With an evaluation before: as many as fit beside each other."""


def question_table(
    metrics: Mapping[str, Any], title: str = "", before: Mapping[str, Any] | None = None
) -> Table:
    """What is right of every kind of question, beside what is right without looking.

    Of open questions the overlap of words, beside that of the answer to another question.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    table.add_column("questions")
    for name in BESIDE if before else COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    old = _scores(before) if before else {}
    for row in choice_rows(metrics):
        cells: list[str | Text]
        own = _figure(row["right"], row["interval"])
        blind, constant = _share(row["blind"]), _share(row["by_constant"])
        if before:
            cells = [_share(old.get((row["name"], "choice"))), own, blind, constant]
        else:
            cells = [own, blind, _share(row["chance"]), constant, _share(row["control"])]
        table.add_row(_named(row), *cells)
    for row in open_rows(metrics):
        own = _figure(row["f1"], row["f1_interval"])
        blind, other = _share(row["blind_f1"]), _share(row["other_f1"])
        if before:
            cells = [_share(old.get((row["name"], "open"))), own, blind, other]
        else:
            cells = [own, blind, _share(None), other, _share(None)]
        table.add_row(_named(row, "overlap of words"), *cells)
    table.caption = Text(summary_words(metrics))
    return table


def _scores(metrics: Mapping[str, Any]) -> dict[tuple[str, str], float | None]:
    found = {(row["name"], "choice"): row["right"] for row in choice_rows(metrics)}
    return found | {(row["name"], "open"): row["f1"] for row in open_rows(metrics)}


def _named(row: Mapping[str, Any], measure: str = "") -> Text:
    label = Text(f"{row['name']} ({row['num_questions']})")
    if measure:
        label.append(f"\n{measure}", style="dim")
    return label


def _figure(value: float | None, ends: Any) -> Text:
    text = Text(_share(value), style="bold")
    if ends is not None:
        text.append(f"\n{interval(ends, '%')}", style="dim not bold")
    return text


def _share(value: float | None) -> str:
    return "–" if value is None else shown(value, "%")


def summary_words(metrics: Mapping[str, Any]) -> str:
    """One line for a terminal."""
    answered = metrics["answered"]
    words = [
        f"{counted(metrics['n_questions'], 'question')} about {counted(metrics['n_videos'], 'clip')}"
    ]
    words.append("nothing answered" if answered is None else f"{100 * answered:.1f}% answered")
    gain = ((metrics.get("blind") or {}).get("gain") or {}).get("difference")
    if gain is not None:
        words.append(f"{100 * gain:+.1f} points over the same model without the clip")
    if metrics["rotation"]:
        words.append(f"{metrics['rotation']['agreement']:.0%} the same in every order of choices")
    return ", ".join(words)
