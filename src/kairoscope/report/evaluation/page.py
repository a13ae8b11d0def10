"""The page of one evaluation: figures beside what they mean little without, then every clip."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from kairoscope.core import UserError
from kairoscope.report.analysis import analyse, true_ends_inside
from kairoscope.report.captions.figures import is_caption
from kairoscope.report.captions.page import write_caption_page
from kairoscope.report.clips import clip_payload
from kairoscope.report.evaluation.clips import ORDERS, Answer, clip_views, read_answers
from kairoscope.report.evaluation.plots import comparison_plot, error_plots
from kairoscope.report.figures import HEADLINE, Figure, counted, dig, figures, prior_coverage
from kairoscope.report.page import embedded_json, interval, render_page, svg, value
from kairoscope.report.questions.figures import is_question
from kairoscope.report.questions.page import write_question_page
from kairoscope.report.scores.figures import is_score
from kairoscope.report.scores.page import write_score_page
from kairoscope.report.svg import short
from kairoscope.report.text_page import is_text, write_text_page
from kairoscope.runs import Run, read_metrics
from kairoscope.storage import canonical_json, write_text_atomic

PAGE = "report.html"


def write_evaluation_page(
    folder: Path, *, title: str = "", targets: Mapping[str, float] | None = None
) -> Path:
    """Write `report.html` into the folder of an evaluation run and return its path.

    Raises `UserError` where the folder is no evaluation or the evaluation is not finished.
    """
    run = Run.read(folder)
    if is_text(read_metrics(run)):
        return write_text_page(folder, title=title)
    if is_caption(read_metrics(run)):
        return write_caption_page(folder, title=title)
    if is_question(read_metrics(run)):
        return write_question_page(folder, title=title)
    if is_score(read_metrics(run)):
        return write_score_page(folder, title=title, targets=targets or {})
    page = folder / PAGE
    write_text_atomic(page, evaluation_page(run, folder, title=title, targets=targets))
    return page


def evaluation_page(
    run: Run,
    page_folder: Path,
    *,
    title: str = "",
    targets: Mapping[str, float] | None = None,
) -> str:
    """The HTML of the page; links to clips are relative to `page_folder`."""
    metrics = read_metrics(run)
    if run.kind != "evaluation" or metrics is None:
        raise UserError(
            f"{run.path}: "
            + (
                f"holds a run of kind {run.kind!r}, not an evaluation"
                if run.kind != "evaluation"
                else "has no metrics.json yet; run the same evaluate command again to finish it"
            )
        )
    answers = read_answers(run)
    goals = targets or {}
    records = [answer.record for group in answers.values() for answer in group]
    rows = figures(metrics)
    clips = clip_views(answers, run, str(run.config["headline"]), page_folder)
    return render_page(
        "evaluation.html.jinja",
        title=title or f"Evaluation of {run.config['model']}",
        styles=("chart.css", "page.css", "clips.css"),
        scripts=("timeline.js", "clips.js"),
        heading=title or f"{run.config['model']} on {counted(len(answers), 'clip')}",
        lede=_lede(run, metrics),
        facts=_facts(run, answers),
        cards=_cards(rows, metrics, goals),
        findings=analyse(metrics, records, goals, _inside(answers)),
        figures=rows,
        num_groups=len({record.group for record in records}),
        headline_label=rows[0].label,
        comparison_title=rows[0].label,
        comparison_plot=svg(comparison_plot(rows[0], goals)),
        scenarios=_scenarios(run, metrics),
        plots=error_plots(answers),
        payload=embedded_json(clip_payload(clips, ORDERS, _step_s(answers))),
        problems=_problems(run),
        settings=_settings(run),
    )


def _inside(answers: Mapping[str, Sequence[Answer]]) -> tuple[int, int]:
    return true_ends_inside((a.events, a.likely) for group in answers.values() for a in group)


def _lede(run: Run, metrics: Mapping[str, Any]) -> str:
    """The page's first sentence: what was asked of what."""
    frames = run.config["frames"]
    settings = run.config["evaluation"]
    trials = settings["sampling"]["trials"]
    how = f"{settings['decoding']} decoding" + (f", {trials} trials a clip" if trials > 1 else "")
    return (
        f"When does each subtask start and end? {run.config['model']} watched "
        f"{counted(int(metrics['n_clips']), 'clip')} at {short(frames['fps'])} frames a second; {how}."
    )


def _facts(run: Run, answers: Mapping[str, Sequence[Answer]]) -> list[tuple[str, str]]:
    records = [answer.record for group in answers.values() for answer in group]
    seconds = sum(record.seconds for record in records)
    tokens = [record.num_prompt_tokens for record in records if record.num_prompt_tokens]
    environment = run.read_json("environment.json") or {}
    facts = [
        ("clips", str(len(answers))),
        ("demonstrations", str(len({record.group for record in records}))),
        ("scenarios", str(len({record.scenario for record in records}))),
        ("weights", str(run.config["model_identity"])[:24]),
        ("time in the model", f"{short(seconds)} s"),
    ]
    if tokens:
        facts.append(("prompt tokens, mean", str(round(sum(tokens) / len(tokens)))))
    if environment.get("started_at"):
        facts.append(
            ("begun", str(environment["started_at"]).replace("T", " ").split("+")[0] + " UTC")
        )
    return facts


def _cards(
    rows: Sequence[Figure], metrics: Mapping[str, Any], targets: Mapping[str, float]
) -> list[dict[str, Any]]:
    """The headline beside everything without which it means little."""
    first = rows[0]
    goal = targets.get("mre_percent")
    ends = first.interval
    about = [f"95 %: {interval(ends, first.suffix)}"] if ends else []
    about += [f"goal below {short(goal)}%"] if goal is not None else []
    answered = float(metrics["answered"])
    cards = [
        _card(first.label, first.value, first.suffix, " · ".join(about)),
        _card("No-video prior", first.prior, first.suffix, _prior_note(metrics)),
        _card("Skill over the prior", first.skill, "", "1 − error ÷ the prior's error"),
        _card("Wrong-video control", first.control, first.suffix, _times(metrics)),
        _card("Answered", 100 * answered, "%", "the rest counts at its worst"),
    ]
    found = next((row for row in rows if row.kind.score == "found"), None)
    if found is not None:
        cards.append(
            _card("Events found and named", 100 * found.value, "%", "of all that were asked")
        )
    return cards


def _card(label: str, number: float | None, unit: str, note: str) -> dict[str, Any]:
    if number is None:
        note = "not measured in this run"
    return {"label": label, "value": value(number, unit), "note": note}


def _prior_note(metrics: Mapping[str, Any]) -> str:
    return f"median of the other demonstrations {prior_coverage(metrics)}".strip()


def _times(metrics: Mapping[str, Any]) -> str:
    ratio = dig(metrics, "wrong_video/mre_ratio")
    if ratio is None:
        return "the question asked about another clip"
    return f"{short(ratio, 2)} times the error with the right one"


def _scenarios(run: Run, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a scenario, with the control's error averaged over its clips."""
    wrong: dict[str, list[float]] = defaultdict(list)
    for row in run.rows("control"):
        wrong[row["scenario"]].append(row["scores"]["mre_percent"])
    rows = []
    for name, table in metrics["scenarios"].items():
        by_score = {figure.kind.score: figure for figure in figures(table)}
        rows.append(
            {
                "name": name,
                "num_clips": table["n_clips"],
                "answered": table["answered"],
                "headline": by_score[HEADLINE.score],
                "control": fmean(wrong[name]) if wrong[name] else None,
                "mae": by_score["ends.all.mae_s"],
                "tiou": by_score["tiou"],
                "degenerate": table["degenerate"],
            }
        )
    return rows


def _step_s(answers: Mapping[str, Sequence[Answer]]) -> float:
    """The time between two frames that the model saw."""
    for group in answers.values():
        times_s = group[0].record.frame_times_s
        if len(times_s) > 1:
            return times_s[1] - times_s[0]
    return 0.1


def _problems(run: Run) -> list[dict[str, str]]:
    found: list[dict[str, Any]] = run.read_json("problems.json") or []
    return [
        {
            "kind": str(row["kind"]),
            "where": str(row.get("sample_id") or row.get("where") or ""),
            "reason": str(row["reason"]),
        }
        for row in found
    ]


def _settings(run: Run) -> list[tuple[str, str]]:
    environment = run.read_json("environment.json") or {}
    return [
        ("Resolved settings", canonical_json(run.config, indent=2)),
        ("Environment and command", canonical_json(environment, indent=2)),
    ]
