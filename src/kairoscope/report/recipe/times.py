"""The document of a recipe whose answers are times of events: figures, cards and goals."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from kairoscope.report.blocks import Block, Card, Cell, Code, Number, Paragraph, Plot, Table
from kairoscope.report.boundaries import event_views
from kairoscope.report.figures import (
    HEADLINE,
    KINDS,
    Figure,
    dig,
    figures,
    prior_coverage,
    shown,
    step_unit,
)
from kairoscope.report.lessons import lessons
from kairoscope.report.page import interval
from kairoscope.report.plots import Bar, bars
from kairoscope.report.recipe.run import Evaluated, RecipeRun
from kairoscope.report.recipe.times_change import comparison
from kairoscope.report.recipe.words import Words
from kairoscope.report.svg import short, span


def summary(run: RecipeRun) -> str:
    """The result of the whole run: the headline error before, after, and of the prior."""
    before = None if run.zero_shot is None else run.zero_shot.by_score.get(HEADLINE.score)
    after = None if run.re_evaluation is None else run.re_evaluation.by_score.get(HEADLINE.score)
    shown_figure = after or before
    found = run.re_evaluation or run.zero_shot
    if shown_figure is None:
        return "Not one figure could be taken."
    sentences = []
    step = next((d for d in run.differences if d.kind is HEADLINE), None)
    if step is not None:
        unit = step_unit(HEADLINE.suffix)
        words = interval(step.interval, unit)
        sentences.append(
            f"On {step.num_clips} clips, the mean relative error of the ends went from "
            f"{shown(step.before, '%')} to {shown(step.after, '%')}"
            + (f" (difference {words} points with 95 % confidence)." if words else ".")
        )
    else:
        sentences.append(
            f"On {shown_figure.num_clips} clips, the mean relative error of the ends is "
            f"{shown(shown_figure.value, '%')}."
        )
    if shown_figure.prior is not None and shown_figure.skill is not None:
        coverage = "" if found is None else prior_coverage(found.metrics)
        sentences.append(
            f"The no-video prior errs by {shown(shown_figure.prior, '%')}"
            f"{' (' + coverage + ')' if coverage else ''}: skill {shown(shown_figure.skill)}."
        )
    ratio = None if found is None else dig(found.metrics, "wrong_video/mre_ratio")
    if ratio is not None:
        sentences.append(f"With a wrong video the error is {ratio:.1f} times as large.")
    goal = run.targets.get("mre_percent")
    if goal is not None:
        met = "reached" if shown_figure.value < goal else "not reached"
        ends = shown_figure.interval
        doubt = ", though not beyond doubt" if ends and ends[0] < goal <= ends[1] else ""
        sentences.append(f"The goal, below {shown(goal, '%')}, is {met}{doubt}.")
    return " ".join(sentences)


def _cards(run: RecipeRun, found: Evaluated) -> list[Card]:
    """Before, after, and what both have to be seen beside."""
    figure = found.by_score.get(HEADLINE.score)
    if figure is None:
        return []
    before = None if run.zero_shot is None else run.zero_shot.by_score.get(HEADLINE.score)
    cards = []
    if run.re_evaluation is not None:
        cards.append(Card("Error after training", Number(figure.value, "%"), _ends(figure)))
    if before is not None:
        cards.append(Card("Error zero-shot", Number(before.value, "%"), _ends(before)))
    cards += [
        Card(
            "No-video prior",
            Number(figure.prior, "%"),
            f"median of other demonstrations {prior_coverage(found.metrics)}".strip(),
        ),
        Card("Skill over the prior", Number(figure.skill), "1 − error ÷ the prior's error"),
        Card("Wrong-video control", Number(figure.control, "%"), "error with another clip"),
        Card("Answered", Number(100 * float(found.metrics["answered"] or 0), "%"), "of all asked"),
    ]
    return cards


def _ends(figure: Figure) -> str:
    ends = interval(figure.interval, figure.suffix)
    return f"95 %: {ends}" if ends else "mean relative error of ends"


# --- the benchmark -----------------------------------------------------------------------------


def _benchmark(run: RecipeRun) -> list[Block]:
    """Scenarios, the question, and how far one gets without looking."""
    blocks: list[Block] = []
    if run.benchmark is not None:
        scenarios = run.benchmark["scenarios"]
        blocks = [Table(_SCENARIO_COLUMNS, [_scenario(r) for r in scenarios], 1)]
        blocks += _question(scenarios)
    return blocks if run.zero_shot is None else blocks + _difficulty(run.zero_shot)


_SCENARIO_COLUMNS = ("Scenario", "Clips", "Demonstrations", "Duration, s", "Events")


def _scenario(row: Mapping[str, Any]) -> list[Cell]:
    low, high = row.get("shortest_s"), row.get("longest_s")
    return [
        str(row["scenario"]),
        str(row["n_clips"]),
        str(row["n_groups"]),
        "–" if low is None or high is None else span(low, high),
        str(len(row["example_events"])),
    ]


def _question(scenarios: Sequence[Mapping[str, Any]]) -> list[Block]:
    """The events of the scenario with the most clips, as they are asked for."""
    if not scenarios:
        return []
    row = max(scenarios, key=lambda r: (r["n_clips"], str(r["scenario"])))
    listed = "\n".join(f"Event {i}: {name}" for i, name in enumerate(row["example_events"], 1))
    return [
        Paragraph(f"What is asked about a clip of {row['scenario']}, with the video:"),
        Code(listed),
    ]


def _difficulty(zero_shot: Evaluated) -> list[Block]:
    """How long events are, and what the no-video prior gets."""
    lengths = [
        event.gold[1] - event.gold[0]
        for record in zero_shot.records
        if record.trial == 0
        for event in event_views(record)
        if event.gold is not None
    ]
    prior = dig(zero_shot.metrics, "prior/mre_percent")
    sentences = []
    if lengths:
        sentences.append(
            f"The median event lasts {short(median(lengths))} s, the shortest {short(min(lengths))} s."
        )
    if prior is not None:
        sentences.append(
            "Without looking at any video, the median of the other demonstrations' times errs by "
            f"{shown(prior, '%')} ({shown(zero_shot.metrics['prior']['mae_s'], ' s')}): "
            "what a model has to beat."
        )
    return [Paragraph(" ".join(sentences))] if sentences else []


# --- one evaluation ----------------------------------------------------------------------------


def _evaluation(found: Evaluated, run: RecipeRun, name: str) -> list[Block]:
    """Figures, scenarios and plot of one evaluation."""
    metrics = found.metrics
    answered = float(metrics["answered"] or 0.0)
    blocks: list[Block] = [
        Paragraph(
            f"{metrics['n_clips']} clips of {metrics['n_groups']} demonstrations; "
            f"{shown(100 * answered, '%')} of the answers could be read, the others count at the "
            "worst value possible in their clip. Intervals are 95 %, resampling demonstrations."
        ),
        Table(_FIGURE_COLUMNS, _figure_rows(metrics)),
        Plot(f"{name}_comparison", _reference_plot(metrics, run.targets), HEADLINE.label),
    ]
    if len(metrics["scenarios"]) > 1:
        blocks.append(Table(_BY_SCENARIO, _by_scenario(metrics)))
    return blocks


_FIGURE_COLUMNS = ("Metric", "All answers", "Prior", "Skill", "Wrong video", "Answered only")
_BY_SCENARIO = ("Scenario", "Clips", HEADLINE.label, "Prior", "Skill", "Answered")


def _figure_rows(metrics: Mapping[str, Any]) -> list[list[Cell]]:
    return [
        [
            figure.label,
            Number(figure.value, figure.suffix, figure.interval),
            Number(figure.prior, figure.suffix),
            Number(figure.skill),
            Number(figure.control, figure.suffix),
            Number(figure.answered_only, figure.suffix),
        ]
        for figure in figures(metrics)
    ]


def _by_scenario(metrics: Mapping[str, Any]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for name, table in metrics["scenarios"].items():
        first = next(iter(figures(table)), None)
        if first is not None:
            rows.append(
                [
                    str(name),
                    str(table["n_clips"]),
                    Number(first.value, first.suffix, first.interval),
                    Number(first.prior, first.suffix),
                    Number(first.skill),
                    Number(100 * table["answered"], "%"),
                ]
            )
    return rows


def _reference_plot(metrics: Mapping[str, Any], targets: Mapping[str, float]) -> str:
    first = figures(metrics)[0]
    rows = [Bar(label="Model", value=first.value, interval=first.interval, note="%")]
    if first.prior is not None:
        rows.append(Bar(label="No-video prior", value=first.prior, colour="prior", note="%"))
    if first.control is not None:
        rows.append(Bar(label="Wrong video", value=first.control, colour="control", note="%"))
    unit = f"% {HEADLINE.label.lower()}"
    return bars(rows, title=HEADLINE.label, unit=unit, aim=targets.get("mre_percent"))


def _goals(run: RecipeRun) -> list[str]:
    return [_goal(run, key, goal) for key, goal in run.targets.items()]


def _goal(run: RecipeRun, key: str, goal: float) -> str:
    """A target beside what was measured of it."""
    kind = next((kind for kind in KINDS if kind.path.endswith(f"/{key}")), None)
    if kind is None:
        return f"{key} below {short(goal)}"
    words = []
    for name, found in (("zero-shot", run.zero_shot), ("after training", run.re_evaluation)):
        figure = None if found is None else found.by_score.get(kind.score)
        if figure is not None:
            words.append(f"{shown(figure.value, kind.suffix)} {name}")
    measured = f": {', '.join(words)}" if words else ""
    return f"{kind.label} below {shown(goal, kind.suffix)}{measured}"


TIMES = Words(
    summary=summary,
    cards=_cards,
    benchmark=_benchmark,
    evaluation=_evaluation,
    comparison=comparison,
    goals=_goals,
    lessons=lessons,
)
