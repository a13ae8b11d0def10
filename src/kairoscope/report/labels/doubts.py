"""Labels that a model contradicts, as files keep them and pages show them. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from kairoscope.core import Record, Task
from kairoscope.report.blocks import Block, Cell, Heading, Number, Paragraph, Table
from kairoscope.report.figures import counted
from kairoscope.report.labels.counts import spoken
from kairoscope.report.labels.support import FEWEST, SURE, Doubt, SlotSummary, contradicted

Row = dict[str, Any]
KEPT, SHOWN, WORST = 200, 30, 10
"""Labels that are kept at least, labels that a page lists, and clips that are answered worst."""


def doubts_to_json(
    task: Task[Any, Any],
    doubts: Sequence[Doubt],
    slots: Sequence[SlotSummary],
    worst: Sequence[Row],
) -> Row:
    """The object of `label_doubts.json`: what is contradicted, and the labels next to that."""
    sure = contradicted(doubts)
    return {
        "task": task.name,
        "below": SURE,
        "num_labels": len(doubts),
        "num_contradicted": len(sure),
        "labels": [asdict(doubt) for doubt in doubts[: max(KEPT, len(sure))]],
        "slots": [asdict(slot) for slot in slots],
        "worst": list(worst),
    }


def worst_clips(task: Task[Any, Any], records: Iterable[Record]) -> list[Row]:
    """The clips that are answered worst, by the headline or, where that is a figure of all clips
    together, by the task's first metric of single answers."""
    key = task.headline if task.headline in task.metrics else next(iter(task.metrics))
    metric = task.metrics[key]
    scores: dict[str, list[float]] = defaultdict(list)
    scenario: dict[str, str] = {}
    for record in records:
        scores[record.sample_id].append(record.scores[key])
        scenario[record.sample_id] = record.scenario
    sign = 1 if metric.best > metric.worst else -1
    means = {name: fmean(values) for name, values in scores.items()}
    ordered = sorted(means, key=lambda name: (sign * means[name], name))
    return [
        {
            "sample_id": name,
            "scenario": scenario[name],
            "metric": metric.title,
            "unit": metric.unit,
            "value": means[name],
        }
        for name in ordered[:WORST]
        if means[name] != metric.best
    ]


def contradicted_rows(found: Mapping[str, Any]) -> list[Row]:
    """The rows of a `label_doubts.json` that are contradicted with high confidence."""
    rows: Sequence[Row] = found.get("labels", ())
    return [row for row in rows if row["support"] < found["below"] and row["is_off"]]


def doubt_blocks(found: Mapping[str, Any]) -> list[Block]:
    """What an object of `label_doubts.json` says."""
    unknown = [spoken(slot["slot"]) for slot in found["slots"] if not slot["knows"]]
    sure = contradicted_rows(found)
    blocks: list[Block] = [Heading(3, "Labels That the Model Contradicts")]
    if not found["num_labels"]:
        return [*blocks, Paragraph(_knows_nothing(found))]
    words = (
        f"Of {counted(found['num_labels'], 'label')}, {found['num_contradicted']} have less than "
        f"{found['below']:.0%} of the model's probability (of values in order: they and all that is farther off). "
        "Wrong labels gather there, and so do clips that the model misreads: look before you change one."
    )
    if unknown:
        words += f" It is no judge of {', '.join(unknown)}: hardly better there than a constant."
    blocks.append(Paragraph(words))
    if sure:
        rows: list[list[Cell]] = [
            [
                row["sample_id"],
                spoken(row["slot"]),
                row["label"],
                row["answer"],
                Number(100 * row["support"], "%"),
            ]
            for row in sure[:SHOWN]
        ]
        blocks.append(Table(("Clip", "What", "Label", "Model", "Support"), rows, 4))
        if len(sure) > SHOWN:
            blocks.append(Paragraph(f"{len(sure) - SHOWN} more are listed in label_doubts.json."))
    return blocks


def _knows_nothing(found: Mapping[str, Any]) -> str:
    if not found["slots"]:
        return "The answers came without distributions, so no label can be doubted."
    return (
        "The model is hardly nearer to the labels than a constant answer, or there are fewer than "
        f"{FEWEST} clips: it is no judge of them."
    )


def worst_blocks(found: Mapping[str, Any]) -> list[Block]:
    """The clips that are answered worst."""
    rows = found["worst"]
    if not rows:
        return []
    title = rows[0]["metric"]
    cells: list[list[Cell]] = [
        [row["sample_id"], row["scenario"], Number(row["value"])] for row in rows
    ]
    return [
        Heading(3, "Clips That Are Answered Worst"),
        Table(("Clip", "Scenario", title), cells, 2),
    ]
