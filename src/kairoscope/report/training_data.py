"""What a training run was given, and why it ended: labels, what was left out, a foreign file's keys. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kairoscope.report.blocks import Block, Cell, Heading, Paragraph, Table
from kairoscope.report.training import TrainingLog
from kairoscope.runs import Run

SHOWN_LABELS, SHOWN_REJECTED = 30, 50
FATES = {
    "used": "Honoured",
    "adapted": "Changed",
    "warning": "Not done, and the run goes on without",
    "refused": "Refused",
    "no effect": "Without effect here",
}
"""What became of a key of cosmos-rl, in the order in which it is told."""


def ending_blocks(log: TrainingLog) -> list[Block]:
    """Why the run ended where it did; nothing where it took all of its steps, or goes on."""
    result = log.result
    if result is None or result["last_step"] >= result["num_steps"]:
        return []
    last, best = result["last_step"], result["best_step"]
    margin = log.settings.get("min_improvement") or 0
    better = f"better by {margin:g} or more" if margin else "better"
    return [
        Heading(3, "Early Stopping"),
        Paragraph(
            f"The run ended at step {last} of {result['num_steps']}: none of the "
            f"{log.settings.get('patience')} evaluations after step {best} was {better}. The weights "
            f"of step {best} are kept."
        ),
    ]


def data_blocks(run: Run, log: TrainingLog) -> list[Block]:
    """How many samples came from where, how often each label comes, and what was left out and why."""
    curation = run.read_json("curation.json")
    check = log.checks[-1] if log.checks else None
    if curation is None and check is None:
        return []
    blocks: list[Block] = [Heading(2, "Data")]
    if curation is not None:
        blocks.append(
            Paragraph(
                f"Of {curation['n_in']} samples, {curation['n_train']} were to be trained on, "
                f"{curation['n_held_out']} to choose the best checkpoint on, and "
                f"{curation['n_dropped']} were left out."
            )
        )
    if check is not None:
        blocks += _labels(check, str(log.settings.get("balance", "none")))
    return [*blocks, *_left_out(curation or {}, check or {})]


def _labels(check: Mapping[str, Any], balance: str) -> list[Block]:
    """Samples of each label, and how many of them an epoch has."""
    counts: Mapping[str, int] = check.get("labels", {})
    strata: Sequence[Mapping[str, Any]] = check.get("epoch", ())
    blocks: list[Block] = []
    if len(counts) > 1 or balance != "none":
        shown = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        rows: list[list[Cell]] = [[name, str(n)] for name, n in shown[:SHOWN_LABELS]]
        more = f" The {len(shown) - SHOWN_LABELS} rarest are in train.jsonl." * (
            len(shown) > SHOWN_LABELS
        )
        blocks += [
            Heading(3, "Labels"),
            Table(("Label", "Samples"), rows),
            *([Paragraph(more.strip())] if more else []),
        ]
    if any(one["per_epoch"] != one["samples"] for one in strata):
        rows = [
            [one["name"] or "all", str(one["samples"]), str(one["per_epoch"])]
            for one in strata[:SHOWN_LABELS]
        ]
        how = {
            "none": "Labels are not balanced; data sets have weights.",
            "up": "Balanced: every label comes as often as the commonest of its data set.",
            "down": "Balanced: every label comes as often as the rarest of its data set.",
        }
        blocks += [
            Heading(3, "An Epoch"),
            Paragraph(f"{how[balance]} Who is repeated or left out takes turns."),
            Table(("What", "Samples", "An epoch"), rows),
        ]
    return blocks


def _left_out(curation: Mapping[str, Any], check: Mapping[str, Any]) -> list[Block]:
    """Every sample that was not trained on, with the reason."""
    rows: list[list[Cell]] = [
        [str(drop["sample_id"]), str(drop["reason"]), str(drop["detail"])]
        for drop in curation.get("drops", ())
    ]
    rows += [
        [str(one["sample_id"]), "cannot be trained on", str(one["reason"])]
        for one in check.get("rejected", ())
    ]
    rows += [["", "held-out row", str(one)] for one in curation.get("held_out_problems", ())]
    if not rows:
        return [Paragraph("Nothing was left out.")]
    blocks: list[Block] = [
        Heading(3, "Left Out"),
        Table(("Sample", "Reason", "Detail"), rows[:SHOWN_REJECTED], 3),
    ]
    if len(rows) > SHOWN_REJECTED:
        more = len(rows) - SHOWN_REJECTED
        blocks.append(Paragraph(f"{more} more are in curation.json and train.jsonl."))
    return blocks


def mapping_blocks(run: Run) -> list[Block]:
    """What became of every key of a file of cosmos-rl; nothing where there was no such file."""
    rows = run.read_json("cosmos_rl.json") or []
    if not rows:
        return []
    blocks: list[Block] = [
        Heading(2, "The File of cosmos-rl"),
        Paragraph("Every key of the file, and those that cosmos-rl fills in by itself."),
    ]
    for outcome, title in FATES.items():
        found = [row for row in rows if row["outcome"] == outcome]
        if not found:
            continue
        cells = [[_key(row), _shown(row["value"]), row["became"], row["why"]] for row in found]
        blocks += [
            Heading(3, f"{title} ({len(found)})"),
            Table(("Key", "Value", "Became", "Why"), cells, 4),
        ]
    return blocks


def _key(row: Mapping[str, Any]) -> str:
    return row["key"] if row["given"] else f"{row['key']} (not in the file)"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
