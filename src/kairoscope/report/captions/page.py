"""The page of one evaluation of captions, or of several beside each other, with every clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.report.answered_page import answered_page, model_facts, title_of
from kairoscope.report.answered_run import AnsweredRun, read_answered
from kairoscope.report.captions.clips import ORDERS, clip_views, comparison_orders
from kairoscope.report.captions.comparison import (
    Compared,
    compare_captions,
    comparison_json,
    judge_scores,
    pair_rows,
)
from kairoscope.report.captions.figures import KIND, field_rows, text_rows
from kairoscope.report.captions.rules import analyse_captions
from kairoscope.report.figures import counted, shown
from kairoscope.report.page import interval
from kairoscope.report.plots import Bar, bars
from kairoscope.report.shares import percent_ends, share_cards
from kairoscope.report.svg import short
from kairoscope.storage import write_json_atomic, write_text_atomic

PAGE = "report.html"


def read_captioned(folder: Path, name: str = "") -> AnsweredRun:
    """Read a finished evaluation of captions. Raises UserError where the folder holds none."""
    return read_answered(folder, name, kind=KIND, what="captions")


def write_caption_page(folder: Path, *, title: str = "") -> Path:
    """Write `report.html` into an evaluation's folder."""
    page = caption_page([read_captioned(folder)], folder, title=title)
    write_text_atomic(folder / PAGE, page)
    return folder / PAGE


def write_caption_comparison(
    folders: Sequence[Path], names: Sequence[str], page: Path, judges: Sequence[Path] = ()
) -> Path:
    """Write a page that compares evaluations of captions with the first of them, and the same figures
    as JSON beside it.

    `judges`: runs of judges that lie elsewhere than in the folders. Raises UserError where evaluations are of
    different schemas.
    """
    runs = [read_captioned(folder, name) for folder, name in zip(folders, names, strict=True)]
    for folder, run in zip(folders, runs, strict=True):
        if run.metrics["schema"]["name"] != runs[0].metrics["schema"]["name"]:
            raise UserError(
                f"{folder}: describes clips by the schema {run.metrics['schema']['name']!r}, "
                f"{folders[0]} by {runs[0].metrics['schema']['name']!r}"
            )
    page.parent.mkdir(parents=True, exist_ok=True)
    compared = compare_captions(runs, judges)
    write_text_atomic(page, caption_page(runs, page.parent, compared=compared))
    write_json_atomic(page.with_suffix(".json"), comparison_json(compared))
    return page


def caption_page(
    runs: Sequence[AnsweredRun],
    folder: Path,
    *,
    title: str = "",
    compared: Sequence[Compared] = (),
) -> str:
    """The HTML; links to clips are relative to `folder`. The last run is what is judged.

    `compared`: of the runs after the first with the first.
    """
    last, several = runs[-1], len(runs) > 1
    judged = judge_scores(compared, runs)
    clips = clip_views([(r.name, r.run, r.answers) for r in runs], folder, judged)
    orders = comparison_orders(last.name, judged=bool(judged)) if several else ORDERS
    heading = title_of(runs, title)
    return answered_page(
        "captions.html.jinja",
        runs,
        clips,
        orders,
        title=title or ("Comparison of captions" if several else f"Captions of {heading}"),
        heading=heading if several else f"{heading} on {counted(len(last.answers), 'clip')}",
        lede=_lede(last),
        facts=_facts(last),
        cards=cards(last.metrics),
        findings=analyse_captions(last.metrics),
        tables=[
            {
                "name": r.name if several else "",
                "rows": field_rows(r.metrics),
                "texts": text_rows(r.metrics),
            }
            for r in runs
        ],
        pairs=[pair_rows(one) for one in compared],
        plot=field_plot(last.metrics),
        words=True,
    )


def _lede(found: AnsweredRun) -> str:
    settings, metrics = found.run.config["evaluation"], found.metrics
    return (
        f"{found.run.config['model']} described {counted(int(metrics['n_clips']), 'clip')} by "
        f"{counted(len(metrics['fields']), 'field')}, at "
        f"{short(found.run.config['frames']['fps'])} frames a second; {settings['decoding']} decoding."
    )


def _facts(found: AnsweredRun) -> list[tuple[str, str]]:
    return [
        ("clips", str(found.metrics["n_clips"])),
        ("schema", str(found.metrics["schema"]["name"])),
        *model_facts(found),
    ]


def cards(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The headline beside everything without which it means little."""
    wrong = (metrics["wrong_video"] or {}).get("fields_right")
    ends = percent_ends(metrics["fields_right_ci95"])
    blind = metrics["baseline"]["fields_right"]
    rows = [
        ("Fields right", metrics["fields_right"], f"95 %: {interval(ends, '%')}" if ends else ""),
        ("Without looking", blind, "the commonest answer of each field"),
        ("Wrong-video control", wrong, "fields right about another clip"),
        ("Skill", metrics["skill"], "share of what the commonest answers get wrong"),
        ("Answered", metrics["answered"], "the rest counts as wrong"),
    ]
    return share_cards(rows)


def field_plot(metrics: Mapping[str, Any]) -> str:
    """Every field's score above what is reached without looking."""
    rows: list[Bar] = []
    for row in field_rows(metrics):
        if row["score"] is None:
            continue
        rows.append(Bar(label=row["name"], value=row["score"], interval=row["interval"]))
        if row["blind"] is not None:
            words = "another clip" if row["is_text"] else "commonest"
            rows.append(Bar(label=words, value=row["blind"], colour="prior"))
    return bars(rows, title="Score of every field", unit="% right (sets: F1, texts: overlap)")


def summary_words(metrics: Mapping[str, Any]) -> str:
    """One line for a terminal."""
    answered = metrics["answered"]
    words = [counted(metrics["n_clips"], "clip")]
    words.append("nothing answered" if answered is None else f"{100 * answered:.1f}% answered")
    if metrics["fields_right"] is not None:
        blind = metrics["baseline"]["fields_right"]
        words.append(f"{shown(100 * metrics['fields_right'], '%')} of the fields right")
        words.append(f"{shown(100 * blind, '%')} without looking")
    return ", ".join(words)
