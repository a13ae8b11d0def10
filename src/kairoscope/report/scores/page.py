"""The page of one evaluation of scores, or of several beside each other, with every clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kairoscope.metrics.scores import paired_scores
from kairoscope.report.answered_page import answered_page, model_facts, title_of
from kairoscope.report.answered_run import AnsweredRun, read_answered
from kairoscope.report.figures import counted, shown
from kairoscope.report.page import interval, value
from kairoscope.report.plots import Bar, bars
from kairoscope.report.scores.clips import (
    ORDERS,
    clip_views,
    comparison_orders,
    given,
)
from kairoscope.report.scores.figures import (
    KIND,
    READING_NAMES,
    SCORE_FIGURES,
    best_reading,
    ends,
    number,
    verdict,
)
from kairoscope.report.scores.rules import analyse_scores
from kairoscope.report.svg import short
from kairoscope.storage import write_json_atomic, write_text_atomic

PAGE, RESULTS = "report.html", "evaluation_results.json"
COLOURS = ("other", "model", "control", "ink")


def read_scored(folder: Path, name: str = "") -> AnsweredRun:
    """Read a finished evaluation of scores. Raises UserError where the folder holds none."""
    return read_answered(folder, name, kind=KIND, what="scores")


def write_score_page(folder: Path, *, title: str = "", targets: Mapping[str, float]) -> Path:
    """Write `report.html` and `evaluation_results.json` into an evaluation's folder."""
    found = read_scored(folder)
    write_json_atomic(folder / RESULTS, evaluation_results(found))
    write_text_atomic(folder / PAGE, score_page([found], folder, title=title, targets=targets))
    return folder / PAGE


def write_score_comparison(
    folders: Sequence[Path], names: Sequence[str], page: Path, targets: Mapping[str, float]
) -> Path:
    """Write a page that compares evaluations of scores with the first of them."""
    runs = [read_scored(folder, name) for folder, name in zip(folders, names, strict=True)]
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(page, score_page(runs, page.parent, targets=targets))
    return page


def evaluation_results(found: AnsweredRun) -> dict[str, Any]:
    """The figures and every answer in one file, as the recipe's own evaluation writes them."""
    return {
        "model": found.run.config["model"],
        "metrics": found.metrics,
        "results": [
            {
                "id": record.sample_id,
                "video": record.video,
                "trial": record.trial,
                "ground_truth": record.gold,
                "predicted": record.value,
                "expected": record.extra.get("expected"),
                "error": given(record) - int(record.gold),
                "response": record.text,
                "problem": record.unparsed,
            }
            for record in found.records
        ],
    }


def score_page(
    runs: Sequence[AnsweredRun], folder: Path, *, title: str = "", targets: Mapping[str, float]
) -> str:
    """The HTML; links to clips are relative to `folder`. The last run is what is judged."""
    last = runs[-1]
    several = len(runs) > 1
    clips = clip_views([(r.name, r.run, r.answers) for r in runs], folder)
    orders = comparison_orders(last.name) if several else ORDERS
    heading = title_of(runs, title)
    return answered_page(
        "scores.html.jinja",
        runs,
        clips,
        orders,
        title=title or ("Comparison of scores" if several else f"Evaluation of {heading}"),
        heading=heading if several else f"{heading} on {counted(len(last.answers), 'clip')}",
        lede=_lede(last),
        facts=_facts(last),
        cards=cards(last.metrics, targets),
        findings=analyse_scores(last.metrics, targets),
        tables=[_figure_table(run, several=several) for run in runs],
        pairs=[_pair(runs[0], run) for run in runs[1:]],
        plot=reference_plot([(r.name, r.metrics) for r in runs], targets),
        matrices=[{"name": r.name, **confusion_table(r.metrics)} for r in runs],
        scenarios=scenario_rows(last.metrics),
    )


def _lede(found: AnsweredRun) -> str:
    settings = found.run.config["evaluation"]
    trials = settings["sampling"]["trials"]
    how = f"{settings['decoding']} decoding" + (f", {trials} trials a clip" if trials > 1 else "")
    return (
        f"How true is each clip to physics, from 1 to 5? {found.run.config['model']} watched "
        f"{counted(int(found.metrics['n_clips']), 'clip')} at "
        f"{short(found.run.config['frames']['fps'])} frames a second; {how}."
    )


def _facts(found: AnsweredRun) -> list[tuple[str, str]]:
    labels = ", ".join(f"{score}: {n}" for score, n in found.metrics["labels"].items())
    return [
        ("clips", str(found.metrics["n_clips"])),
        ("groups", str(found.metrics["n_groups"])),
        ("true scores", labels),
        *model_facts(found),
    ]


def cards(metrics: Mapping[str, Any], targets: Mapping[str, float]) -> list[dict[str, Any]]:
    """The headline beside everything without which it means little."""
    reading = best_reading(metrics)
    own, baselines = metrics[reading] or {}, metrics["baselines"]
    wrong = metrics["wrong_video"] or {}
    other = (wrong.get(reading) or wrong.get("digit") or {}).get("pearson")
    goal = targets.get("expected_pearson")
    about = [f"95 %: {interval(own['pearson_ci95'])}"] if own.get("pearson_ci95") else []
    about += [f"goal {short(goal)} or more"] if goal is not None else []
    constant = min((baselines[n]["mae"] for n in baselines), default=None)
    f1 = own.get("f1")
    rows = [
        (
            f"Correlation, {READING_NAMES[reading].lower()}",
            own.get("pearson"),
            "",
            " · ".join(about),
        ),
        ("Correlation, digit", (metrics["digit"] or {}).get("pearson"), "", "what the answers say"),
        ("Wrong-video control", other, "", "correlation with another clip's video"),
        ("Mean absolute error", own.get("mae"), "", f"best constant: {shown(constant or 0.0)}"),
        (
            "F1 of good",
            None if f1 is None else 100 * f1,
            "%",
            f"good: {metrics['good_from']} or more",
        ),
        ("Answered", 100 * float(metrics["answered"] or 0), "%", "the rest counts at its worst"),
    ]
    return [
        {"label": label, "value": value(n, unit), "note": note if n is not None else "not measured"}
        for label, n, unit, note in rows
    ]


def _figure_table(found: AnsweredRun, *, several: bool) -> dict[str, Any]:
    return {"name": found.name if several else "", "rows": figure_rows(found.metrics)}


def figure_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a figure: both readings with intervals, the gain, baselines and control."""
    wrong = metrics["wrong_video"] or {}
    reading = best_reading(metrics)
    rows = []
    for figure in SCORE_FIGURES:
        parts = {
            "expected": metrics["expected"],
            "digit": metrics["digit"],
            "gain": metrics["gain"],
        }
        cells = {
            name: {"value": number(table, figure), "interval": ends(table, figure)}
            for name, table in parts.items()
        }
        cells |= {
            "majority": {"value": number(metrics["baselines"].get("majority"), figure)},
            "mean": {"value": number(metrics["baselines"].get("mean"), figure)},
            "control": {"value": number(wrong.get(reading), figure)},
        }
        rows.append({"label": figure.label, "suffix": figure.suffix, **cells})
    return rows


def _pair(first: AnsweredRun, other: AnsweredRun) -> dict[str, Any]:
    """What one run changes against the first, over the clips that both have."""
    found = paired_scores(first.records, other.records)
    return {"name": other.name, "num_clips": found["n_clips"], "rows": paired_rows(found)}


def paired_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a table of differences, of every reading that both runs have."""
    rows = []
    for reading, name in READING_NAMES.items():
        for figure in SCORE_FIGURES:
            step = found.get(reading, {}).get(figure.key)
            if not step or step["difference"] is None:
                continue
            between = ends(step, figure, "difference_ci95")
            rows.append(
                {
                    "label": f"{figure.label}, {name.lower()}",
                    "suffix": figure.suffix,
                    "before": figure.factor * step["before"],
                    "after": figure.factor * step["after"],
                    "difference": figure.factor * step["difference"],
                    "interval": interval(between, figure.suffix),
                    "between": between,
                    "verdict": verdict(figure, between),
                }
            )
    return rows


def reference_plot(
    runs: Sequence[tuple[str, Mapping[str, Any]]], targets: Mapping[str, float]
) -> str:
    """The correlation of every run, of both readings, and of the wrong video."""
    rows: list[Bar] = []
    for place, (name, metrics) in enumerate(runs):
        for reading, words in READING_NAMES.items():
            table = metrics[reading]
            if table and table["pearson"] is not None:
                between = ends(table, SCORE_FIGURES[0])
                colour = COLOURS[(place + (len(runs) == 1)) % len(COLOURS)]
                label = words if len(runs) == 1 else f"{name}: {reading}"
                rows.append(
                    Bar(label=label, value=table["pearson"], interval=between, colour=colour)
                )
    wrong = runs[-1][1]["wrong_video"]
    if wrong:
        table = wrong[best_reading(wrong)]
        if table["pearson"] is not None:
            between = ends(table, SCORE_FIGURES[0])
            rows.append(
                Bar(label="Wrong video", value=table["pearson"], interval=between, colour="control")
            )
    return bars(
        rows,
        title="Correlation with the true scores",
        unit="Pearson correlation",
        aim=targets.get("expected_pearson"),
    )


def confusion_table(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of the confusion matrix with the share of their true score, for shading."""
    rows = []
    for place, row in enumerate(metrics["confusion"]):
        total = sum(row)
        cells = [
            {
                "count": short(count) if count else "",
                "level": round(8 * count / total) if total else 0,
                "hit": column == place,
            }
            for column, count in enumerate(row)
        ]
        rows.append({"score": place + 1, "cells": cells, "total": short(total)})
    return {"rows": rows, "failed": any(row[-1] for row in metrics["confusion"])}


def scenario_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a scenario."""
    rows = []
    for name, table in metrics["scenarios"].items():
        own = table[best_reading(table)]
        rows.append(
            {
                "name": name,
                "num_clips": table["n_clips"],
                "answered": table["answered"],
                "pearson": own["pearson"],
                "pearson_ci95": own["pearson_ci95"],
                "mae": own["mae"],
                "mae_ci95": own["mae_ci95"],
                "exact": 100 * own["exact"],
                "within_one": 100 * own["within_one"],
                "degenerate": table["degenerate"],
            }
        )
    return rows
