"""The page of a judge's run: verdict on the judge, means, controls, and every pair of texts; and that of likeness."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.report.clips import ClipView, Order, clip_payload
from kairoscope.report.figures import counted
from kairoscope.report.judgements.clips import (
    LIKENESS_ORDERS,
    ORDERS,
    judge_views,
    likeness_views,
    shown_clips,
)
from kairoscope.report.judgements.figures import human_rows, judge_findings, judge_rows
from kairoscope.report.page import embedded_json, interval, render_page, svg, value
from kairoscope.report.plots import Bar, bars
from kairoscope.runs import Run
from kairoscope.storage import canonical_json, write_text_atomic

PAGE = "report.html"
JUDGEMENT, SIMILARITY = "judgement", "similarity"
"""Kinds of run that have such a page."""


def write_judge_page(folder: Path) -> Path:
    """Write `report.html` into the folder of a judge's run. Raises UserError where it is not finished."""
    run, found = _read(folder, JUDGEMENT, "judge.json")
    write_text_atomic(folder / PAGE, judge_page(run, found))
    return folder / PAGE


def write_likeness_page(folder: Path) -> Path:
    """Write `report.html` into the folder of a run of `--offline`. Raises UserError as above."""
    run, found = _read(folder, SIMILARITY, "similarity.json")
    write_text_atomic(folder / PAGE, likeness_page(run, found))
    return folder / PAGE


def _read(folder: Path, kind: str, file: str) -> tuple[Run, Mapping[str, Any]]:
    run = Run.read(folder)
    found = run.read_json(file)
    if run.kind != kind or found is None:
        raise UserError(f"{folder}: holds no finished run of a judge ({file} is not there)")
    # In the schema's order, which JSON with sorted keys does not have.
    return run, {**found, "fields": {name: found["fields"][name] for name in run.config["fields"]}}


def judge_page(run: Run, found: Mapping[str, Any]) -> str:
    """The HTML of a judge's run."""
    config = run.config
    clips = judge_views(
        run.rows("judgements", ("id", "repeat")),
        config["fields"],
        shown_clips(run.path / config["run"], run.path),
    )
    how = config["judge"]
    return render_page(
        "judge.html.jinja",
        title=f"{config['model']} as a judge of {config['judged_model']}",
        styles=("chart.css", "page.css", "clips.css"),
        scripts=("timeline.js", "clips.js"),
        kicker="Judge",
        heading=f"{config['model']} on the answers of {config['judged_model']}",
        lede=(
            f"{counted(found['all']['n_asked'], 'judgement')} of "
            f"{counted(len(config['fields']), 'field')}, from 1 (nothing in common) to 5 (the same): "
            f"{counted(how['repeats'], 'repeat')} of each question at temperature {how['temperature']}. "
            "The judge read texts, and saw no clip."
        ),
        facts=_facts(run, found),
        cards=_cards(found),
        findings=judge_findings(found),
        rows=judge_rows(found),
        limits=found["limits"],
        human=human_rows(found),
        problems=[
            {"kind": "human score", "where": row["where"], "reason": row["what"]}
            for row in found.get("human_problems", ())
        ],
        plot=svg(_plot(found)),
        likeness=None,
        payload=embedded_json(_payload(clips, ORDERS)),
        settings=[("Resolved settings", canonical_json(config, indent=2))],
    )


def _payload(clips: Sequence[ClipView], orders: Sequence[Order]) -> dict[str, Any]:
    return clip_payload(clips, orders, 0.1, what="fields of clips", words=True)


def _facts(run: Run, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("judge", str(run.config["model_identity"])[:24]),
        ("clips", str(found["all"]["n_clips"])),
        ("tokens", f"{found['all']['tokens']:,}"),
    ]
    usage = found.get("usage")
    if usage:
        facts.append(("requests", f"{usage['requests']:,}"))
        if usage["cost"] is not None:
            facts.append(("cost", f"{usage['cost']:.4f}"))
    return facts


def _cards(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    whole = found["all"]
    controls, ends = whole["controls"], whole["mean_ci95"]
    good = sum(table["verdict"] == "trusted" for table in found["fields"].values())
    clips = counted(whole["n_clips"], "clip")
    rows = [
        ("Mean score", whole["mean"], f"{clips}; 95 %: {interval(ends)}" if ends else clips),
        (
            "Fields where the judge can be trusted",
            good,
            f"of {len(found['fields'])}; see the controls",
        ),
        ("Labels against themselves", controls["same"]["mean"], "must be near 5"),
        ("Labels of other clips", controls["other clip"]["mean"], "must be near 1"),
        ("Agreement of repeats", whole["alpha"], "Krippendorff's alpha, ordinal"),
    ]
    return [
        {
            "label": label,
            "value": str(number) if isinstance(number, int) else value(number),
            "note": note if number is not None else "not measured",
        }
        for label, number, note in rows
    ]


def _plot(found: Mapping[str, Any]) -> str:
    rows: list[Bar] = []
    for name, table in found["fields"].items():
        if table["mean"] is not None:
            rows.append(
                Bar(
                    label=name.replace("_", " "),
                    value=table["mean"],
                    interval=_pair(table["mean_ci95"]),
                    colour="model" if table["verdict"] == "trusted" else "control",
                )
            )
        other = table["controls"]["other clip"]
        if other["mean"] is not None:
            rows.append(Bar(label="another clip's label", value=other["mean"], colour="prior"))
    return bars(rows, title="Mean score of every field", unit="1 to 5")


def _pair(ends: Sequence[float] | None) -> tuple[float, float] | None:
    return None if ends is None else (ends[0], ends[1])


def likeness_page(run: Run, found: Mapping[str, Any]) -> str:
    """The HTML of a run without a judge."""
    config = run.config
    clips = likeness_views(
        run.rows("similarity", ("id",)),
        config["fields"],
        shown_clips(run.path / config["run"], run.path),
    )
    rows = [{"name": n.replace("_", " "), **table} for n, table in found["fields"].items()]
    plotted = [
        bar
        for row in rows
        if row["mean"] is not None
        for bar in (
            Bar(label=row["name"], value=row["mean"], interval=_pair(row["mean_ci95"])),
            Bar(label="another clip's label", value=row["to_another_label"] or 0.0, colour="prior"),
        )
    ]
    return render_page(
        "judge.html.jinja",
        title=f"Likeness of the answers of {config['judged_model']} and the labels",
        styles=("chart.css", "page.css", "clips.css"),
        scripts=("timeline.js", "clips.js"),
        kicker="Likeness, no judge",
        heading=f"{config['judged_model']}: how alike answers and labels are",
        lede=(
            f"Measured by {found['how']}. From 0 to 1. Nobody judged whether the texts mean the same; these "
            "figures are no scores of a judge and cannot be compared with such."
        ),
        facts=[("measure", str(config["measure"])), ("clips", str(len({c.id for c in clips})))],
        cards=[],
        findings=[],
        rows=[],
        limits={},
        human=[],
        problems=[],
        plot=svg(bars(plotted, title="Likeness of every field", unit="0 to 1")),
        likeness=rows,
        payload=embedded_json(_payload(clips, LIKENESS_ORDERS)),
        settings=[("Resolved settings", canonical_json(config, indent=2))],
    )
