"""Several evaluations side by side: what differs, with intervals over the clips they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.metrics.questions import KIND as QUESTION
from kairoscope.report.captions.figures import KIND as CAPTION
from kairoscope.report.captions.page import write_caption_comparison
from kairoscope.report.clips import ClipView, Lane, Order, Tag, clip_payload, relative_url
from kairoscope.report.comparison.paired import ClipScores, Difference, clip_scores, differences
from kairoscope.report.evaluation.clips import Answer, read_answers, spans_of
from kairoscope.report.figures import HEADLINE, KINDS, Figure, figures, shown, step_unit
from kairoscope.report.page import embedded_json, interval, render_page, svg
from kairoscope.report.plots import Bar, bars
from kairoscope.report.questions.page import write_question_comparison
from kairoscope.report.scores.figures import KIND as SCORE
from kairoscope.report.scores.page import write_score_comparison
from kairoscope.runs import Run, read_metrics
from kairoscope.storage import write_text_atomic

PAGE = "comparison.html"
COLOURS = ("model", "other", "control", "ink")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One run of a comparison."""

    name: str
    run: Run
    metrics: Mapping[str, Any]
    figures: Mapping[str, Figure]
    answers: Mapping[str, Sequence[Answer]]
    scores: Mapping[str, ClipScores]


def _kind(folder: Path) -> str | None:
    """What the metrics of a run are of; None for times of events, and where there are none."""
    kind = (read_metrics(Run.read(folder)) or {}).get("kind")
    return str(kind) if kind else None


def write_comparison_page(
    folders: Sequence[Path],
    page: Path,
    targets: Mapping[str, float] | None = None,
    judges: Sequence[Path] = (),
) -> Path:
    """Write a page that compares evaluation runs with the first of them; returns its path.

    `targets`: metric -> goal, as in a recipe. `judges`: of captions, judges' runs that lie elsewhere than
    in the folders. Raises `UserError` for fewer than two runs, and for one that is not a finished evaluation.
    """
    if len(folders) < 2:
        raise UserError("a comparison needs two run folders or more")
    names = run_names(folders)
    kinds = {_kind(folder) for folder in folders}
    if len(kinds) > 1:
        raise UserError(f"{folders[0]}: runs of different tasks cannot be compared")
    if kinds == {CAPTION}:
        return write_caption_comparison(folders, names, page, judges)
    if judges:
        raise UserError(
            f"--judged {judges[0]}: these runs are no captions; judges are for captions"
        )
    if kinds == {QUESTION}:
        return write_question_comparison(folders, names, page)
    if kinds == {SCORE}:
        return write_score_comparison(folders, names, page, targets or {})
    compared = [_read(folder, name) for folder, name in zip(folders, names, strict=True)]
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(page, comparison_page(compared, page.parent))
    return page


def run_names(folders: Sequence[Path]) -> list[str]:
    """Short names that tell the folders apart: the last part of each path, or more of it."""
    paths = [folder.resolve().parts for folder in folders]
    for length in range(1, max(len(path) for path in paths) + 1):
        names = ["/".join(path[-length:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise UserError(f"{folders[0]}: the same run is given twice")


def _read(folder: Path, name: str) -> Compared:
    run = Run.read(folder)
    metrics = read_metrics(run)
    if run.kind != "evaluation" or metrics is None:
        raise UserError(f"{folder}: holds no finished evaluation")
    answers = read_answers(run)
    records = [answer.record for group in answers.values() for answer in group]
    return Compared(
        name=name,
        run=run,
        metrics=metrics,
        figures={figure.kind.path: figure for figure in figures(metrics)},
        answers=answers,
        scores=clip_scores(records),
    )


def comparison_page(compared: Sequence[Compared], page_folder: Path) -> str:
    """The HTML of the page."""
    first, *others = compared
    return render_page(
        "comparison.html.jinja",
        title="Comparison of evaluations",
        styles=("chart.css", "page.css", "clips.css"),
        scripts=("timeline.js", "clips.js"),
        names=[run.name for run in compared],
        models=[str(run.run.config["model"]) for run in compared],
        notes=_notes(compared),
        figures=_figure_rows(compared),
        plot=svg(_plot(compared)),
        plot_title=HEADLINE.label,
        paired=[
            {"name": run.name, "rows": _paired_rows(differences(first.scores, run.scores))}
            for run in others
        ],
        baseline=first.name,
        scenarios=_scenario_rows(compared),
        payload=embedded_json(_payload(compared, page_folder)),
    )


def _notes(compared: Sequence[Compared]) -> list[str]:
    """What has to be known before the columns are compared."""
    notes = []
    shared = set.intersection(*(set(run.scores) for run in compared))
    if any(len(run.scores) != len(shared) for run in compared):
        counts = ", ".join(f"{run.name} {len(run.scores)}" for run in compared)
        notes.append(
            f"The runs do not hold the same clips ({counts}; {len(shared)} in all of them): "
            "compare the paired differences, not the columns."
        )
    for key in ("frames", "evaluation", "task_version"):
        values = {str(run.run.config.get(key)) for run in compared}
        if len(values) > 1:
            notes.append(f"The runs differ in their settings of {key.replace('_', ' ')}.")
    return notes


def _figure_rows(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "label": kind.label,
            "suffix": kind.suffix,
            "cells": [r.figures.get(kind.path) for r in compared],
        }
        for kind in KINDS
        if any(kind.path in run.figures for run in compared)
    ]
    return rows


def _plot(compared: Sequence[Compared]) -> str:
    rows = [
        Bar(
            label=run.name,
            value=figure.value,
            interval=figure.interval,
            colour=COLOURS[place % len(COLOURS)],
            note=figure.suffix,
        )
        for place, run in enumerate(compared)
        if (figure := run.figures.get(HEADLINE.path)) is not None
    ]
    prior = compared[0].figures.get(HEADLINE.path)
    if prior is not None and prior.prior is not None:
        rows.append(
            Bar(label="No-video prior", value=prior.prior, colour="prior", note=prior.suffix)
        )
    return bars(rows, title=HEADLINE.label, unit=f"% {HEADLINE.label.lower()}")


def _paired_rows(steps: Sequence[Difference]) -> list[dict[str, Any]]:
    return [
        {
            "label": step.kind.label,
            "before": step.before,
            "after": step.after,
            "suffix": step.kind.suffix,
            "difference": step.difference,
            "step_unit": step_unit(step.kind.suffix),
            "interval": interval(step.interval, step_unit(step.kind.suffix)),
            "verdict": step.verdict,
            "num_clips": step.num_clips,
        }
        for step in steps
    ]


def _scenario_rows(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    names = sorted({name for run in compared for name in run.metrics["scenarios"]})
    return [
        {
            "name": name,
            "cells": [
                next(iter(figures(table)), None)
                if (table := run.metrics["scenarios"].get(name)) is not None
                else None
                for run in compared
            ],
        }
        for name in names
    ]


# --- the clips that all runs have ----------------------------------------------------------


def _payload(compared: Sequence[Compared], folder: Path) -> dict[str, Any]:
    shared = sorted(set.intersection(*(set(run.answers) for run in compared)))
    clips = [_clip(compared, clip, folder) for clip in shared]
    last = compared[-1].name
    orders = (
        Order(name=f"most improved by {last}", key="step"),
        Order(name=f"most worsened by {last}", key="step", descending=True),
        Order(name=f"largest error of {last}", key="error", descending=True),
        Order(name="name", key="place"),
    )
    return clip_payload(clips, orders, step_s=0.1)


def _clip(compared: Sequence[Compared], clip: str, folder: Path) -> ClipView:
    first = compared[0].answers[clip][0]
    errors = [run.scores[clip].columns[HEADLINE.score] for run in compared]
    old, new = errors[0], errors[-1]
    step = None if old is None or new is None else new - old
    seen = next((run for run in compared if not run.answers[clip][0].record.failed), None)
    duration_s = max(
        [
            first.record.duration_s,
            *(e.gold[1] for e in first.events if e.gold is not None),
        ]
    )
    lanes = [Lane(name="truth", spans=[(e.place, *e.gold, False) for e in first.events if e.gold])]
    lanes += [Lane(name=run.name, spans=spans_of(run.answers[clip][0])) for run in compared]
    return ClipView(
        id=clip,
        scenario=first.record.scenario,
        where=first.record.scenario,
        video=None
        if seen is None
        else relative_url(seen.answers[clip][0].record.video, seen.run.path, folder),
        duration_s=duration_s,
        events=[event.name for event in first.events],
        lanes=lanes,
        columns=("Event", "True end", *(run.name for run in compared)),
        rows=[_row(compared, clip, event.place) for event in first.events],
        tags=_tags(step),
        figure=" → ".join("–" if e is None else shown(e, HEADLINE.suffix) for e in errors),
        sort={"step": step, "error": new},
    )


def _tags(step: float | None) -> list[Tag]:
    if step is None or abs(step) < 1e-9:
        return [Tag(words="same")]
    return [Tag(words="better", kind="good") if step < 0 else Tag(words="worse", kind="bad")]


def _row(compared: Sequence[Compared], clip: str, place: int) -> tuple[int, *tuple[Any, ...]]:
    gold = compared[0].answers[clip][0].events[place].gold
    cells: list[Any] = [("–", None) if gold is None else (f"{gold[1]:.2f} s", gold[1])]
    for run in compared:
        answer = run.answers[clip][0].events[place].answer
        if answer is None:
            cells.append(("no answer", None, "worse"))
        elif gold is None:
            cells.append((f"{answer[1]:.2f} s", answer[1]))
        else:
            off = f"{answer[1] - gold[1]:+.2f}".replace("-", "−")
            cells.append((f"{answer[1]:.2f} s ({off})", answer[1]))
    return (place, *cells)
