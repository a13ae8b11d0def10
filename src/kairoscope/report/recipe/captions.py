"""The document of a recipe whose answers are captions: figures field by field, before and after."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from kairoscope.core import Record
from kairoscope.fields.schema import schema_from_json
from kairoscope.metrics.caption_pairs import ALL, paired_captions
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
from kairoscope.report.captions.figures import field_rows, verdict
from kairoscope.report.captions.page import field_plot
from kairoscope.report.figures import shown
from kairoscope.report.findings import Finding, Severity
from kairoscope.report.lessons import lessons_for_all
from kairoscope.report.page import interval
from kairoscope.report.plots import Bar, bars
from kairoscope.report.recipe.run import Evaluated, RecipeRun
from kairoscope.report.recipe.states import VERDICTS, scenario_table
from kairoscope.report.recipe.words import Words
from kairoscope.report.shares import percent, percent_ends

SEVERITY: dict[str, Severity] = {"better": "strength", "worse": "gap", "not shown": "warning"}


def summary(run: RecipeRun) -> str:
    """The result of the whole run in a few sentences."""
    found = run.re_evaluation or run.zero_shot
    assert found is not None
    metrics = found.metrics
    if metrics["fields_right"] is None:
        return "Not one field has a label to be judged by."
    words = (
        f"On {metrics['n_clips']} clips, {_share(metrics['fields_right'])} of the fields are right"
    )
    step = _paired(run).get(ALL)
    if step is not None:
        ends = percent_ends(step["difference_ci95"])
        between = (
            f" (difference {interval(ends, ' points')} points with 95 % confidence)" if ends else ""
        )
        words += f" after training, {_share(step['before'])} before{between}"
    blind = metrics["baseline"]["fields_right"]
    words += f". The commonest answer of each field gets {_share(blind)}"
    wrong = (metrics["wrong_video"] or {}).get("fields_right")
    words += "" if wrong is None else f", the answers about another clip {_share(wrong)}"
    return f"{words}."


def _share(value: float | None) -> str:
    return "–" if value is None else shown(100 * value, "%")


def _paired(run: RecipeRun) -> Mapping[str, Any]:
    """Field -> before and after, over the clips that both evaluations have."""
    if run.zero_shot is None or run.re_evaluation is None:
        return {}
    schema = schema_from_json(run.re_evaluation.metrics["schema"])
    found = paired_captions(schema, run.zero_shot.records, run.re_evaluation.records)
    fields: Mapping[str, Any] = found["fields"]
    return fields


def _cards(run: RecipeRun, latest: Evaluated) -> list[Card]:
    cards = []
    for name, found in (("after training", run.re_evaluation), ("zero-shot", run.zero_shot)):
        if found is not None:
            ends = percent_ends(found.metrics["fields_right_ci95"])
            number = Number(percent(found.metrics["fields_right"]), "%")
            note = f"95 %: {interval(ends, '%')}" if ends else "closed fields and sets"
            cards.append(Card(f"Fields right {name}", number, note))
    metrics = latest.metrics
    wrong = (metrics["wrong_video"] or {}).get("fields_right")
    return [
        *cards,
        Card(
            "Without looking",
            Number(percent(metrics["baseline"]["fields_right"]), "%"),
            "the commonest answer of each field",
        ),
        Card("Wrong-video control", Number(percent(wrong), "%"), "right about another clip"),
        Card("Answered", Number(percent(metrics["answered"]), "%"), "of all asked"),
    ]


def _benchmark(run: RecipeRun) -> list[Block]:
    if run.benchmark is None:
        return []
    lists: list[list[str]] = [row["example_events"] for row in run.benchmark["scenarios"]]
    names = ", ".join(name.replace("_", " ") for name in max(lists, key=len, default=[]))
    asked = [Paragraph(f"Asked about every clip: {names}.")] if names else []
    return [scenario_table(run.benchmark), *asked]


# --- one evaluation ----------------------------------------------------------------------------

_COLUMNS = ("Field", "Right", "Commonest", "Balanced", "Macro F1", "Kappa", "Wrong video")


def _evaluation(found: Evaluated, _: RecipeRun, name: str) -> list[Block]:
    metrics = found.metrics
    rows: list[list[Cell]] = [
        [
            row["name"] + ("" if row["measure"] == "accuracy" else f" ({row['measure']})"),
            Number(row["score"], "%", row["interval"]),
            Number(row["blind"], "%"),
            Number(row["balanced"], "%"),
            Number(row["macro_f1"], "%"),
            Number(row["kappa"]),
            Number(row["control"], "%"),
        ]
        for row in field_rows(metrics)
    ]
    return [
        Paragraph(
            f"{metrics['n_clips']} clips of {metrics['n_groups']} groups; "
            f"{shown(100 * float(metrics['answered'] or 0), '%')} of the answers could be read, the "
            "others count as wrong in every field. Intervals are 95 %, resampling groups. Beside a text "
            "stands what another clip's label gets."
        ),
        Table(_COLUMNS, rows),
        Plot(f"{name}_fields", field_plot(metrics), "Every field beside its commonest answer"),
    ]


# --- before and after --------------------------------------------------------------------------

_BEFORE_AFTER = (
    "Field",
    "Baseline",
    "Post-trained",
    "Difference",
    "Better / same / worse",
    "Verdict",
)


def _comparison(run: RecipeRun) -> list[Block]:
    fields = _paired(run)
    if not fields or run.zero_shot is None or run.re_evaluation is None:
        return []
    names = sorted(fields, key=lambda name: name != ALL)
    return [
        Paragraph(
            "Differences are taken clip by clip over the clips that both evaluations have; "
            "an interval that holds zero shows no difference."
        ),
        Table(_BEFORE_AFTER, [_change(name, fields[name]) for name in names], 1),
        Plot("before_after", _change_plot(fields), "Every field before and after"),
        *_examples(run.zero_shot.records, run.re_evaluation.records),
    ]


def _change(name: str, step: Mapping[str, Any]) -> list[Cell]:
    ends = percent_ends(step["difference_ci95"])
    return [
        name.replace("_", " "),
        Number(100 * step["before"], "%"),
        Number(100 * step["after"], "%"),
        Number(100 * step["difference"], " points", ends, signed=True),
        f"{step['win']} / {step['tie']} / {step['loss']}",
        VERDICTS[verdict(ends)],
    ]


def _change_plot(fields: Mapping[str, Any]) -> str:
    rows = []
    for name, step in fields.items():
        rows.append(Bar(label=name.replace("_", " "), value=100 * step["after"]))
        rows.append(Bar(label="before", value=100 * step["before"], colour="other"))
    return bars(
        rows, title="Every field before and after", unit="% right (sets: F1, texts: overlap)"
    )


def _examples(before: list[Record], after: list[Record]) -> list[Block]:
    """The clip that gained most, the one in the middle and the one that gained least."""
    old, new = ({r.sample_id: r for r in records if r.trial == 0} for records in (before, after))

    def step(clip: str) -> float:
        return new[clip].scores["fields_right"] - old[clip].scores["fields_right"]

    ordered = sorted(old.keys() & new.keys(), key=lambda clip: (-step(clip), clip))
    if not ordered:
        return []
    titles = ("The clip that gained most", "The clip in the middle", "The clip that gained least")
    chosen = dict(zip(titles, (ordered[0], ordered[len(ordered) // 2], ordered[-1]), strict=True))
    blocks: list[Block] = [Heading(3, "Qualitative Analysis")]
    for title, clip in chosen.items():
        first, second = old[clip], new[clip]
        shares = [_share(record.scores["fields_right"]) for record in (first, second)]
        blocks += [
            Paragraph(f"{title}: {clip}, {shares[0]} right before, {shares[1]} after."),
            Table(("Field", "Label", "Before", "After"), _fields_of(first, second), 4),
        ]
        if problem := second.unparsed:
            blocks.append(Code(problem))
    return blocks


def _fields_of(first: Record, second: Record) -> list[list[Cell]]:
    sides = (first.gold, first.value or {}, second.value or {})
    return [
        [name.replace("_", " "), *(_written(side.get(name, "–")) for side in sides)]
        for name in first.gold
    ]


def _written(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


# --- what it taught ----------------------------------------------------------------------------


def _lessons(run: RecipeRun) -> list[Finding]:
    return lessons_for_all(run, _effect(run), _past_constants(run), _no_better(run))


def _effect(run: RecipeRun) -> Finding | None:
    """Did training make more fields right, beyond doubt?"""
    step = _paired(run).get(ALL)
    if step is None:
        return None
    ends = percent_ends(step["difference_ci95"])
    shows = verdict(ends)
    titles = {
        "better": "Training made more fields right",
        "worse": "Training made fewer fields right",
        "not shown": "Training shows no effect on the fields that are right",
    }
    change = shown(100 * step["difference"], " points")
    between = f" (95 %: {interval(ends, ' points')})" if ends else ""
    return Finding(
        severity=SEVERITY[shows],
        title=titles[shows],
        detail=f"{_share(step['before'])} before, {_share(step['after'])} after over "
        f"{step['n_clips']} clips: {change}{between}.",
        evidence={"before": step["before"], "after": step["after"]},
    )


def _past_constants(run: RecipeRun) -> Finding | None:
    """Is the trained model worth more than the commonest answers?"""
    if run.zero_shot is None or run.re_evaluation is None:
        return None
    before, after = run.zero_shot.metrics["skill"], run.re_evaluation.metrics["skill"]
    if before is None or after is None or before > 0 or after <= 0:
        return None
    return Finding(
        severity="strength",
        title="Training took the model past the commonest answers",
        detail=f"Skill over always saying the commonest: {shown(before)} before, {shown(after)} after.",
        evidence={"before": before, "after": after},
    )


def _no_better(run: RecipeRun) -> Finding | None:
    """Fields in which nothing was learnt."""
    if run.zero_shot is None or run.re_evaluation is None:
        return None
    rows = [row for row in field_rows(run.re_evaluation.metrics) if not row["is_text"]]
    behind = [
        row["name"]
        for row in rows
        if row["score"] is not None and row["blind"] is not None and row["score"] <= row["blind"]
    ]
    if not behind:
        return None
    mean = fmean(row["blind"] for row in rows if row["name"] in behind)
    return Finding(
        severity="warning",
        title=f"No better than always saying the commonest: {', '.join(behind)}",
        detail=f"There the commonest label is right about {shown(mean, '%')} of the clips: rare labels "
        "need more clips, or cannot be seen at this size and frame rate.",
        evidence={"fields": ", ".join(behind)},
    )


CAPTIONS = Words(
    summary=summary,
    cards=_cards,
    benchmark=_benchmark,
    evaluation=_evaluation,
    comparison=_comparison,
    goals=lambda _: (),
    lessons=_lessons,
)
