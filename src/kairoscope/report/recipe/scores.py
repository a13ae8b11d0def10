"""The document of a recipe whose answers are scores: figures, cards, before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from kairoscope.core import Record
from kairoscope.metrics.scores import paired_scores
from kairoscope.report.blocks import (
    Block,
    Card,
    Cell,
    Code,
    Heading,
    Number,
    Paragraph,
    Plot,
    Table,
)
from kairoscope.report.figures import shown
from kairoscope.report.findings import Finding
from kairoscope.report.lessons import lessons_for_all
from kairoscope.report.page import interval
from kairoscope.report.recipe.run import Evaluated, RecipeRun
from kairoscope.report.recipe.states import VERDICTS, answer_text, scenario_table
from kairoscope.report.recipe.words import Words
from kairoscope.report.scores.clips import given
from kairoscope.report.scores.figures import best_reading
from kairoscope.report.scores.page import (
    confusion_table,
    figure_rows,
    paired_rows,
    reference_plot,
    scenario_rows,
)


def summary(run: RecipeRun) -> str:
    """The result of the whole run in a few sentences."""
    found = run.re_evaluation or run.zero_shot
    assert found is not None
    metrics = found.metrics
    own = metrics[best_reading(metrics)]["pearson"]
    words = [f"On {metrics['n_clips']} clips, the scores go with the true ones by {_r(own)}"]
    if run.zero_shot is not None and run.re_evaluation is not None:
        step = _paired(run)[best_reading(metrics)]["pearson"]
        between = interval(step["difference_ci95"])
        words[0] += f" after training, by {_r(step['before'])} before"
        words[0] += f" (difference {between} with 95 % confidence)" if between else ""
    constant = min(metrics["baselines"][name]["mae"] for name in metrics["baselines"])
    mae = metrics[best_reading(metrics)]["mae"]
    words.append(f"Mean absolute error {shown(mae)}, of the best constant {shown(constant)}")
    goal = run.targets.get("expected_pearson")
    if goal is not None and own is not None:
        words.append(f"The goal, {shown(goal)} or more, is {'' if own >= goal else 'not '}reached")
    return ". ".join(words) + "."


def _r(value: float | None) -> str:
    return "no measurable correlation" if value is None else f"a correlation of {shown(value)}"


def _paired(run: RecipeRun) -> Mapping[str, Any]:
    assert run.zero_shot is not None
    assert run.re_evaluation is not None
    return paired_scores(run.zero_shot.records, run.re_evaluation.records)


def _cards(run: RecipeRun, latest: Evaluated) -> list[Card]:
    cards = []
    for name, found in (("after training", run.re_evaluation), ("zero-shot", run.zero_shot)):
        if found is not None:
            table = found.metrics[best_reading(found.metrics)]
            between = interval(table["pearson_ci95"])
            note = f"95 %: {between}" if between else "Pearson"
            cards.append(Card(f"Correlation {name}", Number(table["pearson"]), note))
    metrics = latest.metrics
    table, wrong = metrics[best_reading(metrics)], metrics["wrong_video"]
    other = None if not wrong else wrong[best_reading(wrong)]["pearson"]
    answered = Number(100 * float(metrics["answered"] or 0), "%")
    return [
        *cards,
        Card("Wrong-video control", Number(other), "correlation with another clip"),
        Card("Mean absolute error", Number(table["mae"]), "of the expected score"),
        Card("Skill over a constant", Number(metrics.get("skill")), "1 − error ÷ its error"),
        Card("Answered", answered, "of all asked"),
    ]


def _benchmark(run: RecipeRun) -> list[Block]:
    """Scenarios, and how often each true score comes."""
    if run.benchmark is None:
        return []
    labels = run.benchmark.get("labels", {})
    scores = sorted({score for counts in labels.values() for score in counts})
    counted = [
        [name, *(str(counts.get(score, 0)) for score in scores)] for name, counts in labels.items()
    ]
    return [
        scenario_table(run.benchmark),
        Paragraph("Clips by their true score:"),
        Table(("", *scores), counted, 1),
    ]


_COLUMNS = ("Figure", "Expected score", "Digit", "Gain of expected", "Majority", "Wrong video")


def _evaluation(found: Evaluated, run: RecipeRun, name: str) -> list[Block]:
    """Figures, confusion, scenarios and plot of one evaluation."""
    metrics = found.metrics
    rows: list[list[Cell]] = [
        [
            row["label"],
            *(
                Number(row[part]["value"], row["suffix"], row[part].get("interval"))
                for part in ("expected", "digit", "gain", "majority", "control")
            ),
        ]
        for row in figure_rows(metrics)
    ]
    blocks: list[Block] = [
        Paragraph(
            f"{metrics['n_clips']} clips of {metrics['n_groups']} groups; "
            f"{shown(100 * float(metrics['answered'] or 0), '%')} of the answers could be read, the "
            "others count as the score farthest from the truth. Intervals are 95 %, resampling groups."
        ),
        Table(_COLUMNS, rows),
        Plot(
            f"{name}_comparison",
            reference_plot([(name, metrics)], run.targets),
            "Correlation with the true scores",
        ),
        Paragraph("Clips of each true score by the digit that was answered:"),
        Table(("True", "1", "2", "3", "4", "5", "none"), _confusion(metrics), 1),
    ]
    if len(metrics["scenarios"]) > 1:
        blocks.append(Table(_BY_SCENARIO, _by_scenario(metrics)))
    return blocks


def _confusion(metrics: Mapping[str, Any]) -> list[list[Cell]]:
    return [
        [str(row["score"]), *(cell["count"] or "0" for cell in row["cells"])]
        for row in confusion_table(metrics)["rows"]
    ]


_BY_SCENARIO = ("Scenario", "Clips", "Correlation", "Absolute error", "Exact")


def _by_scenario(metrics: Mapping[str, Any]) -> list[list[Cell]]:
    return [
        [
            str(row["name"]),
            str(row["num_clips"]),
            Number(row["pearson"], "", row["pearson_ci95"]),
            Number(row["mae"], "", row["mae_ci95"]),
            Number(row["exact"], "%"),
        ]
        for row in scenario_rows(metrics)
    ]


def _comparison(run: RecipeRun) -> list[Block]:
    if run.zero_shot is None or run.re_evaluation is None:
        return []
    before, after = run.zero_shot, run.re_evaluation
    plot = reference_plot([("Before", before.metrics), ("After", after.metrics)], run.targets)
    return [
        Paragraph(
            "Differences are taken over the clips that both evaluations have, on equal "
            "resamples; an interval that holds zero shows no difference."
        ),
        Table(_BEFORE_AFTER, _before_after(run), 1),
        Plot("before_after", plot, "Correlation with the true scores, before and after"),
        *_examples(before.records, after.records),
    ]


_BEFORE_AFTER = ("Figure", "Baseline", "Post-trained", "Difference", "Verdict")


def _before_after(run: RecipeRun) -> list[list[Cell]]:
    return [
        [
            row["label"],
            Number(row["before"], row["suffix"]),
            Number(row["after"], row["suffix"]),
            Number(row["difference"], row["suffix"], row["between"], signed=True),
            VERDICTS[row["verdict"]],
        ]
        for row in paired_rows(_paired(run))
    ]


def _examples(before: Sequence[Record], after: Sequence[Record]) -> list[Block]:
    """The clip that gained most, the one in the middle and the one that lost most."""
    old = {record.sample_id: record for record in before if record.trial == 0}
    new = {record.sample_id: record for record in after if record.trial == 0}

    def step(clip: str) -> float:
        gold = int(old[clip].gold)
        return abs(given(new[clip]) - gold) - abs(given(old[clip]) - gold)

    ordered = sorted(old.keys() & new.keys(), key=lambda clip: (step(clip), clip))
    if not ordered:
        return []
    chosen = {
        "The clip that gained most": ordered[0],
        "The clip in the middle": ordered[len(ordered) // 2],
        "The clip that gained least": ordered[-1],
    }
    blocks: list[Block] = [Heading(3, "Qualitative Analysis")]
    for title, clip in chosen.items():
        first, second = old[clip], new[clip]
        blocks += [
            Paragraph(
                f"{title}: {clip} ({first.scenario}), true score {first.gold}: "
                f"{shown(given(first))} before, {shown(given(second))} after."
            ),
            Code(
                f"before: {answer_text(first.text, first.unparsed, failed=first.failed)}\n"
                f"after:  {answer_text(second.text, second.unparsed, failed=second.failed)}"
            ),
        ]
    return blocks


def _goals(run: RecipeRun) -> list[str]:
    """The target beside what was measured of it."""
    goal = run.targets.get("expected_pearson")
    if goal is None:
        return []
    measured = []
    for name, found in (("zero-shot", run.zero_shot), ("after training", run.re_evaluation)):
        table = None if found is None else found.metrics[best_reading(found.metrics)]
        if table and table["pearson"] is not None:
            measured.append(f"{shown(table['pearson'])} {name}")
    words = f": {', '.join(measured)}" if measured else ""
    return [f"Correlation with the true scores of {shown(goal)} or more{words}"]


def _lessons(run: RecipeRun) -> list[Finding]:
    return lessons_for_all(run, _effect(run))


def _effect(run: RecipeRun) -> Finding | None:
    """Did training raise the correlation, beyond doubt?"""
    if run.zero_shot is None or run.re_evaluation is None:
        return None
    reading = best_reading(run.re_evaluation.metrics)
    step = _paired(run).get(reading, {}).get("pearson")
    if not step or step["difference"] is None:
        return None
    between = step["difference_ci95"]
    clear = between is not None and not between[0] <= 0 <= between[1]
    better = step["difference"] > 0
    words = interval(between)
    change = f"From {_r(step['before'])} to {_r(step['after'])}"
    return Finding(
        severity="warning" if not clear else "strength" if better else "gap",
        title="Training shows no effect on the correlation"
        if not clear
        else f"Training {'raised' if better else 'lowered'} the correlation",
        detail=f"{change}; difference {shown(step['difference'])}"
        + (f" (95 %: {words})." if words else "."),
        evidence={"before": step["before"], "after": step["after"]},
    )


SCORES = Words(
    summary=summary,
    cards=_cards,
    benchmark=_benchmark,
    evaluation=_evaluation,
    comparison=_comparison,
    goals=_goals,
    lessons=_lessons,
)
