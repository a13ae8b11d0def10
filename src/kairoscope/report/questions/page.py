"""The page of one evaluation of questions, or of several beside each other, with every clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kairoscope.core import UserError
from kairoscope.metrics.question_pairs import ALL, paired_questions
from kairoscope.metrics.questions import KIND
from kairoscope.metrics.wording import HOW_TO
from kairoscope.report.answered_page import answered_page, model_facts, title_of
from kairoscope.report.answered_run import AnsweredRun, read_answered
from kairoscope.report.figures import counted, dig, shown
from kairoscope.report.page import interval
from kairoscope.report.plots import Bar, bars
from kairoscope.report.questions.clips import ORDERS, comparison_orders, question_views
from kairoscope.report.questions.figures import choice_rows, how_computed, letter_rows, open_rows
from kairoscope.report.questions.rules import analyse_questions
from kairoscope.report.shares import percent_ends, share_cards
from kairoscope.report.svg import short
from kairoscope.storage import write_text_atomic

PAGE = "report.html"


def read_questions_run(folder: Path, name: str = "") -> AnsweredRun:
    """Read a finished evaluation of questions. Raises UserError where the folder holds none."""
    return read_answered(folder, name, kind=KIND, what="questions")


def write_question_page(folder: Path, *, title: str = "") -> Path:
    """Write `report.html` into an evaluation's folder."""
    write_text_atomic(
        folder / PAGE, question_page([read_questions_run(folder)], folder, title=title)
    )
    return folder / PAGE


def write_question_comparison(folders: Sequence[Path], names: Sequence[str], page: Path) -> Path:
    """Write a page that compares evaluations of questions with the first of them.

    Raises UserError where two have no question in common.
    """
    runs = [read_questions_run(folder, name) for folder, name in zip(folders, names, strict=True)]
    for folder, run in zip(folders[1:], runs[1:], strict=True):
        if not run.answers.keys() & runs[0].answers.keys():
            raise UserError(f"{folder}: was asked none of the questions of {folders[0]}")
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(page, question_page(runs, page.parent))
    return page


def question_page(runs: Sequence[AnsweredRun], folder: Path, *, title: str = "") -> str:
    """The HTML; links to clips are relative to `folder`. The last run is what is judged."""
    last, several = runs[-1], len(runs) > 1
    clips = question_views([(r.name, r.run, r.answers) for r in runs], folder)
    orders = comparison_orders(last.name) if several else ORDERS
    heading = title_of(runs, title)
    return answered_page(
        "questions.html.jinja",
        runs,
        clips,
        orders,
        title=title or ("Comparison of answers" if several else f"Questions to {heading}"),
        heading=heading
        if several
        else f"{heading}, {counted(int(last.metrics['n_questions']), 'question')}",
        lede=_lede(last),
        facts=_facts(last),
        cards=cards(last.metrics),
        findings=analyse_questions(last.metrics),
        tables=[_tables(run, several=several) for run in runs],
        pairs=[_pair(runs[0], run) for run in runs[1:]],
        plot=kind_plot(last.metrics),
        how_to=HOW_TO,
    )


def _tables(run: AnsweredRun, *, several: bool) -> dict[str, Any]:
    return {
        "name": run.name if several else "",
        "choice": choice_rows(run.metrics),
        "open": open_rows(run.metrics),
        "computed_by": how_computed(run.metrics),
        "letters": letter_rows(run.metrics),
        "rotation": _rotation(run.metrics["rotation"]),
    }


def _rotation(table: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Words about another order of the choices."""
    if not table:
        return None

    def figure(name: str, row: Mapping[str, Any]) -> str:
        ends = percent_ends(row[f"{name}_ci95"])
        between = f" (95 %: {interval(ends, '%')})" if ends else ""
        return f"{shown(100 * row[name], '%')}{between}"

    return {
        "num_questions": table["n_questions"],
        "agreement": figure("agreement", table),
        "all_right": figure("all_right", table),
        "turns": [
            (row["turn"], row["n_questions"], figure("accuracy", row)) for row in table["turns"]
        ],
    }


def _lede(found: AnsweredRun) -> str:
    settings, metrics = found.run.config["evaluation"], found.metrics
    return (
        f"{found.run.config['model']} was asked {counted(int(metrics['n_questions']), 'question')} about "
        f"{counted(int(metrics['n_videos']), 'clip')}, at "
        f"{short(found.run.config['frames']['fps'])} frames a second; {settings['decoding']} decoding."
    )


def _facts(found: AnsweredRun) -> list[tuple[str, str]]:
    return [
        ("questions", str(found.metrics["n_questions"])),
        ("clips", str(found.metrics["n_videos"])),
        ("groups", str(found.metrics["n_groups"])),
        *model_facts(found),
    ]


def cards(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The headline beside everything without which it means little."""
    ends = percent_ends(metrics["right_ci95"])
    gain = percent_ends(dig(metrics, "blind/gain/difference_ci95"))
    difference = dig(metrics, "blind/gain/difference")
    without = "the same model asked without any clip"
    if difference is not None and gain:
        without = f"with it {100 * difference:+.1f} points (95 %: {interval(gain)})"
    rows = [
        ("Questions right", metrics["right"], f"95 %: {interval(ends, '%')}" if ends else ""),
        ("Without the clip", dig(metrics, "blind/right"), without),
        ("Chance", dig(metrics, "choice/chance"), "of questions with choices"),
        ("Commonest answer", metrics["baseline"]["right"], "of each kind, always"),
        ("Wrong-video control", dig(metrics, "wrong_video/right"), "right about another clip"),
        ("Answered", metrics["answered"], "the rest counts as wrong"),
    ]
    return share_cards(rows)


def kind_plot(metrics: Mapping[str, Any]) -> str:
    """What is right of every kind, above what is right without looking."""
    rows: list[Bar] = []
    for row in choice_rows(metrics):
        rows.append(Bar(label=row["name"], value=row["right"], interval=row["interval"]))
        rows.append(Bar(label="commonest", value=row["by_constant"], colour="prior"))
        if row["blind"] is not None:
            blind = Bar(
                label="blind", value=row["blind"], interval=row["blind_interval"], colour="control"
            )
            rows.append(blind)
    for row in open_rows(metrics):
        label = "open" if row["name"] == ALL else row["name"]
        rows.append(Bar(label=label, value=row["f1"], interval=row["f1_interval"]))
        if row["other_f1"] is not None:
            rows.append(Bar(label="another question's", value=row["other_f1"], colour="prior"))
    return bars(rows, title="Every kind of question", unit="% right (open: overlap of words)")


def _pair(first: AnsweredRun, other: AnsweredRun) -> dict[str, Any]:
    """What one run changes against the first, over the questions that both were asked."""
    found = paired_questions(first.records, other.records)
    rows = []
    for name, table in found["kinds"].items():
        between = percent_ends(table["difference_ci95"])
        clear = between is not None and not between[0] <= 0 <= between[1]
        verdict = "better" if table["difference"] > 0 else "worse"
        rows.append(
            {
                "label": name + (" (overlap of words)" if table["key"] == "f1" else ""),
                "num_questions": table["n_questions"],
                "before": 100 * table["before"],
                "after": 100 * table["after"],
                "difference": 100 * table["difference"],
                "interval": interval(between),
                "counts": f"{table['win']} / {table['tie']} / {table['loss']}",
                "verdict": verdict if clear else "not shown",
            }
        )
    return {"name": other.name, "num_questions": found["n_questions"], "rows": rows}
