"""The document of a recipe with answers of any other kind: every figure that has an interval."""

from collections.abc import Mapping
from typing import Any

from kairoscope.report.blocks import Block, Card, Cell, Number, Paragraph, Table
from kairoscope.report.figures import shown
from kairoscope.report.findings import Finding
from kairoscope.report.lessons import lessons_for_all
from kairoscope.report.recipe.run import Evaluated, RecipeRun
from kairoscope.report.recipe.states import scenario_table
from kairoscope.report.recipe.words import Words

ENDS = ("_ci95", "_ci")


def figures_of(metrics: Mapping[str, Any]) -> dict[str, tuple[float, Any]]:
    """Key -> value and interval, of every number that stands beside an interval."""
    found = {}
    for key, value in metrics.items():
        ends = next((metrics[key + end] for end in ENDS if key + end in metrics), None)
        has_interval = any(key + end in metrics for end in ENDS)
        if has_interval and isinstance(value, float | int):
            found[key] = (float(value), None if ends is None else tuple(ends))
    return found


def _named(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _headline(found: Evaluated) -> tuple[str, float] | None:
    """The task's own headline where the metrics have it, else the first figure."""
    known = figures_of(found.metrics)
    key = str(found.run.config.get("headline"))
    key = key if key in known else next(iter(known), "")
    return (key, known[key][0]) if key in known else None


def summary(run: RecipeRun) -> str:
    """The result of the whole run in a sentence or two."""
    found = run.re_evaluation or run.zero_shot
    assert found is not None
    latest = _headline(found)
    if latest is None:
        return f"{found.metrics['n_clips']} clips were asked about."
    words = f"On {found.metrics['n_clips']} clips: {_named(latest[0]).lower()} {shown(latest[1])}"
    before = None if run.zero_shot is None else _headline(run.zero_shot)
    if run.re_evaluation is not None and before is not None:
        words += f" after training, {shown(before[1])} before"
    return f"{words}."


def _cards(run: RecipeRun, latest: Evaluated) -> list[Card]:
    cards = []
    for name, found in (("after training", run.re_evaluation), ("zero-shot", run.zero_shot)):
        figure = None if found is None else _headline(found)
        if figure is not None:
            cards.append(Card(f"{_named(figure[0])} {name}", Number(figure[1]), "mean over clips"))
    answered = Number(100 * float(latest.metrics["answered"] or 0), "%")
    return [*cards, Card("Answered", answered, "of all asked")]


def _benchmark(run: RecipeRun) -> list[Block]:
    return [] if run.benchmark is None else [scenario_table(run.benchmark)]


def _evaluation(found: Evaluated, _: RecipeRun, __: str) -> list[Block]:
    metrics = found.metrics
    rows: list[list[Cell]] = [
        [_named(key), Number(value, "", ends)] for key, (value, ends) in figures_of(metrics).items()
    ]
    answered = shown(100 * float(metrics["answered"] or 0), "%")
    return [
        Paragraph(
            f"{metrics['n_clips']} clips of {metrics['n_groups']} groups; {answered} of the answers "
            "could be read, the others count at the worst value. Intervals are 95 %, resampling groups."
        ),
        Table(("Metric", "All answers"), rows),
    ]


def _comparison(run: RecipeRun) -> list[Block]:
    if run.zero_shot is None or run.re_evaluation is None:
        return []
    before, after = (figures_of(e.metrics) for e in (run.zero_shot, run.re_evaluation))
    rows: list[list[Cell]] = [
        [_named(key), *(Number(side[key][0], "", side[key][1]) for side in (before, after))]
        for key in before
        if key in after
    ]
    return [Table(("Metric", "Baseline", "Post-trained"), rows)] if rows else []


def _lessons(run: RecipeRun) -> list[Finding]:
    return lessons_for_all(run)


OTHERS = Words(
    summary=summary,
    cards=_cards,
    benchmark=_benchmark,
    evaluation=_evaluation,
    comparison=_comparison,
    goals=lambda _: (),
    lessons=_lessons,
)
