"""The page of one evaluation of captions, or of several beside each other, with every clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.fields.schema import schema_from_json
from kairoscope.metrics.caption_pairs import ALL, paired_captions
from kairoscope.report.answered_run import AnsweredRun, problem_rows, read_answered
from kairoscope.report.caption_clips import ORDERS, clip_views, comparison_orders
from kairoscope.report.caption_figures import KIND, field_rows, percent_ends
from kairoscope.report.caption_rules import analyse_captions
from kairoscope.report.clips import clip_payload
from kairoscope.report.figures import counted, shown
from kairoscope.report.page import embedded_json, interval, render_page, svg, value
from kairoscope.report.plots import Bar, bars
from kairoscope.report.svg import short
from kairoscope.storage import canonical_json, write_text_atomic

PAGE = "report.html"


def read_captioned(folder: Path, name: str = "") -> AnsweredRun:
    """Read a finished evaluation of captions. Raises UserError where the folder holds none."""
    return read_answered(folder, name, kind=KIND, what="captions")


def write_caption_page(folder: Path, *, title: str = "") -> Path:
    """Write `report.html` into an evaluation's folder."""
    page = caption_page([read_captioned(folder)], folder, title=title)
    write_text_atomic(folder / PAGE, page)
    return folder / PAGE


def write_caption_comparison(folders: Sequence[Path], names: Sequence[str], page: Path) -> Path:
    """Write a page that compares evaluations of captions with the first of them.

    Raises UserError where they are of different schemas.
    """
    runs = [read_captioned(folder, name) for folder, name in zip(folders, names, strict=True)]
    for folder, run in zip(folders, runs, strict=True):
        if run.metrics["schema"]["name"] != runs[0].metrics["schema"]["name"]:
            raise UserError(
                f"{folder}: describes clips by the schema {run.metrics['schema']['name']!r}, "
                f"{folders[0]} by {runs[0].metrics['schema']['name']!r}"
            )
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(page, caption_page(runs, page.parent))
    return page


def caption_page(runs: Sequence[AnsweredRun], folder: Path, *, title: str = "") -> str:
    """The HTML; links to clips are relative to `folder`. The last run is what is judged."""
    last, several = runs[-1], len(runs) > 1
    clips = clip_views([(r.name, r.run, r.answers) for r in runs], folder)
    orders = comparison_orders(last.name) if several else ORDERS
    heading = title or " · ".join(run.name for run in runs)
    return render_page(
        "captions.html.jinja",
        title=title or ("Comparison of captions" if several else f"Captions of {heading}"),
        styles=("chart.css", "page.css", "clips.css"),
        scripts=("timeline.js", "clips.js"),
        kicker="Comparison" if several else "Evaluation",
        heading=heading if several else f"{heading} on {counted(len(last.answers), 'clip')}",
        lede=_lede(last),
        facts=_facts(last),
        cards=cards(last.metrics),
        findings=analyse_captions(last.metrics),
        tables=[{"name": r.name if several else "", "rows": field_rows(r.metrics)} for r in runs],
        pairs=[_pair(runs[0], run) for run in runs[1:]],
        baseline=runs[0].name,
        plot=svg(field_plot(last.metrics)),
        payload=embedded_json(clip_payload(clips, orders, 0.1)),
        problems=problem_rows(last.run),
        settings=[("Resolved settings", canonical_json(last.run.config, indent=2))],
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
        ("weights", str(found.run.config["model_identity"])[:24]),
        ("time in the model", f"{short(sum(r.seconds for r in found.records))} s"),
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
    return [
        {
            "label": label,
            "value": value(None if number is None else 100 * number, "%"),
            "note": note if number is not None else "not measured",
        }
        for label, number, note in rows
    ]


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


def _pair(first: AnsweredRun, other: AnsweredRun) -> dict[str, Any]:
    """What one run changes against the first, over the clips that both have."""
    schema = schema_from_json(other.metrics["schema"])
    found = paired_captions(schema, first.records, other.records)
    rows = []
    for name, table in sorted(found["fields"].items(), key=lambda item: item[0] != ALL):
        between = percent_ends(table["difference_ci95"])
        rows.append(
            {
                "label": name.replace("_", " "),
                "before": 100 * table["before"],
                "after": 100 * table["after"],
                "difference": 100 * table["difference"],
                "interval": interval(between, "%") if between else "",
                "counts": f"{table['win']} / {table['tie']} / {table['loss']}",
                "verdict": verdict(between),
            }
        )
    return {"name": other.name, "num_clips": found["n_clips"], "rows": rows}


def verdict(between: tuple[float, float] | None) -> str:
    """What an interval of a difference shows."""
    if between is None or between[0] <= 0 <= between[1]:
        return "not shown"
    return "better" if between[0] > 0 else "worse"


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
