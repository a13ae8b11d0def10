"""The document's steps 4 and 5: data curation and post-training."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from kairoscope.report.blocks import Block, Cell, Code, Heading, Number, Paragraph, Table
from kairoscope.report.figures import shown
from kairoscope.report.labels.counts import count_blocks
from kairoscope.report.recipe.run import RecipeRun
from kairoscope.report.recipe.states import NOT_RUN, command_block
from kairoscope.report.svg import short, span
from kairoscope.report.training import TrainingLog, training_plots
from kairoscope.runs import Run

SHOWN_DROPS = 20


def curation_blocks(run: RecipeRun) -> list[Block]:
    """Step 4: what went in, what was left out and why, and what the rest is like."""
    blocks: list[Block] = [Heading(2, "Step 4: Data Curation")]
    if run.curation is None:
        return [*blocks, Paragraph(NOT_RUN)]
    found = run.curation
    return [
        *blocks,
        Paragraph(
            f"Of {found['n_in']} samples, {found['n_train']} are to train on, "
            f"{found['n_held_out']} to choose the best checkpoint on, and "
            f"{found['n_dropped']} were left out. {_separation(found['clips'])}"
        ),
        Table(("Samples", "Number"), _counts(found)),
        *curated_blocks(found),
    ]


def curated_blocks(found: Mapping[str, Any]) -> list[Block]:
    """What was left out and why, and what the rest is like: clips, scenarios and labels."""
    blocks: list[Block] = []
    if found["drops"]:
        rows = [[d["sample_id"], d["reason"], d["detail"]] for d in found["drops"][:SHOWN_DROPS]]
        blocks += [
            Heading(3, "Left Out"),
            Table(("Sample", "Reason", "Detail"), rows, 3),
        ]
        if len(found["drops"]) > SHOWN_DROPS:
            more = len(found["drops"]) - SHOWN_DROPS
            blocks.append(Paragraph(f"{more} more are listed in curation.json."))
    if found["clips"]:
        blocks += [
            Heading(3, "The Training Data"),
            Table(("Property", "Value"), _properties(found["clips"]), 2),
            _scenarios(found["clips"]),
        ]
    return blocks + count_blocks(found.get("labels", {}))


def _separation(clips: Sequence[Mapping[str, Any]]) -> str:
    """Whether a recording is on both sides, counted."""
    groups = {
        split: {clip["group"] for clip in clips if clip["split"] == split}
        for split in ("train", "held_out")
    }
    shared = len(groups["train"] & groups["held_out"])
    return f"{shared or 'No'} recording{'s are' if shared > 1 else ' is'} on both sides."


def _counts(found: Mapping[str, Any]) -> list[list[Cell]]:
    rows: list[list[Cell]] = [
        ["given", str(found["n_in"])],
        ["train", str(found["n_train"])],
        ["held out", str(found["n_held_out"])],
    ]
    return rows + [[f"left out: {reason}", str(n)] for reason, n in found["dropped"].items()]


def _properties(clips: Sequence[Mapping[str, Any]]) -> list[list[Cell]]:
    durations = [float(clip["duration_s"]) for clip in clips]
    rates = [clip["num_frames"] / clip["duration_s"] for clip in clips if clip["duration_s"] > 0]
    sizes = Counter(f"{clip['width']} x {clip['height']}" for clip in clips)
    codecs = Counter(str(clip["codec"]) for clip in clips)
    return [
        ["Input type", "video"],
        ["Resolution", _most_common(sizes)],
        ["Encoding", _most_common(codecs)],
        [
            "Length",
            f"{short(fmean(durations))} s on average, {span(min(durations), max(durations))} s, "
            f"{short(sum(durations) / 60)} minutes in all",
        ],
        ["Frames a second", span(min(rates), max(rates)) if rates else "–"],
        ["Recordings", str(len({clip["group"] for clip in clips}))],
    ]


def _most_common(counts: Counter[str]) -> str:
    words = ", ".join(f"{name} ({n})" for name, n in counts.most_common(4))
    return words + (f" and {len(counts) - 4} more" if len(counts) > 4 else "")


def _scenarios(clips: Sequence[Mapping[str, Any]]) -> Table:
    """Clips of each, on both sides where anything is held out."""
    counts = Counter((str(clip["scenario"]), str(clip["split"])) for clip in clips)
    sides = [("Train", "train"), ("Held out", "held_out")]
    if not any(split == "held_out" for _, split in counts):
        sides = [("Clips", "train")]
    names = sorted({name for name, _ in counts})
    rows = [[name, *(str(counts[name, split]) for _, split in sides)] for name in names]
    return Table(("Scenario", *(title for title, _ in sides)), rows)


def training_blocks(run: RecipeRun) -> list[Block]:
    """Step 5: how the model was trained, and how that went."""
    blocks: list[Block] = [Heading(2, "Step 5: Post-Training")]
    log = run.training
    if log is None or run.training_run is None:
        return [*blocks, Paragraph(NOT_RUN)]
    return [*blocks, *log_blocks(run.training_run, log, run.targets)]


def log_blocks(run: Run, log: TrainingLog, targets: Mapping[str, float]) -> list[Block]:
    """Method, settings, command and course of a training run."""
    environment = run.read_json("environment.json") or {}
    blocks: list[Block] = [
        Heading(3, "Methodology"),
        Paragraph(_approach(log)),
        Heading(3, "Training Configuration"),
        Code(as_toml("sft", log.settings), "toml"),
        Code(as_toml("frames", log.config.get("frames", {})), "toml"),
        Heading(3, "Command"),
        *command_block(environment),
        Heading(3, "Monitoring"),
        Paragraph(_course(log)),
        *training_plots(log, targets),
    ]
    if log.held_out:
        names = _columns(log)
        columns = [name for _, name, _ in names]
        blocks.append(Table(("Step", *columns), _held_out(log, names)))
    return blocks


def _approach(log: TrainingLog) -> str:
    settings = log.settings
    lora = settings.get("lora")
    what = (
        "full fine-tuning"
        if lora is None
        else f"LoRA of rank {lora['rank']} and alpha {lora['alpha']}"
    )
    frozen = [
        name
        for name, key in (
            ("the vision tower", "freeze_vision"),
            ("the language model", "freeze_language"),
        )
        if settings.get(key)
    ]
    held = f", with {' and '.join(frozen)} frozen" if frozen else ""
    kept = log.checks[-1]["kept"] if log.checks else None
    samples = "" if kept is None else f" on {kept} samples"
    return (
        f"Supervised {what}{held}{samples}, starting from {log.config.get('model', 'a checkpoint')}. "
        f"The loss is taken on {_judged(settings)}; frames and prompts are those of the evaluation."
    )


def _judged(settings: Mapping[str, Any]) -> str:
    """What the loss is taken on, in words."""
    weight = settings.get("dense_weight")
    if not weight:
        return "the answer alone"
    return f"the answer and, with weight {short(weight)}, on what the video's own tokens should say"


def _course(log: TrainingLog) -> str:
    """How many steps were taken, how fast, and which was best."""
    if not log.steps:
        return "No optimiser step was taken."
    last = log.steps[-1]
    of = last.get("of", last["step"])
    words = [f"{last['step']} of {of} optimiser steps in {lasting(log.seconds)}"]
    tokens = sum(row.get("tokens", 0) for row in log.steps)
    if tokens and log.seconds > 0:
        words.append(f"{short(tokens / log.seconds)} tokens a second{_speeds(log)}")
    words.append(
        f"loss {short(log.steps[0]['loss'])} at the first step, {short(last['loss'])} at the last"
    )
    for key, (name, unit) in BEST.items():
        best = log.best(key)
        if best is not None:
            words.append(f"best held-out {name} {shown(best[key], unit)}, at step {best['step']}")
    text = "; ".join(words) + "."
    return text if log.finished else text + " The run is not finished."


TIME_COLUMNS = (
    ("mre_percent", "Relative error", "%"),
    ("mae_s", "Absolute error", " s"),
    ("tiou", "tIoU", ""),
)
SCORE_COLUMNS = (
    ("expected_pearson", "Correlation, expected", ""),
    ("pearson", "Correlation, digit", ""),
    ("expected_mae", "Absolute error, expected", ""),
    ("exact", "Exact", ""),
)
"""(key of a held-out row, heading, unit)."""
BEST = {
    "mre_percent": ("relative error", "%"),
    "expected_pearson": ("correlation", ""),
    "fields_right": ("share of fields right", ""),
    "accuracy": ("share right", ""),
    "words": ("share of words in common", ""),
}
"""Key of a held-out row by which a checkpoint is chosen -> what it is, and its unit."""


def _columns(log: TrainingLog) -> Sequence[tuple[str, str, str]]:
    """What a table of held-out rows shows: of kinds without columns of their own, every number."""
    for columns in (TIME_COLUMNS, SCORE_COLUMNS):
        if log.best(columns[0][0]):
            return columns
    keys = [key for key, value in log.held_out[0].items() if isinstance(value, float)]
    return [(key, key.replace("_", " ").capitalize(), "") for key in keys]


def _speeds(log: TrainingLog) -> str:
    """Of all steps together, as far as their rows say it: of what, how many samples, and how well
    the devices were used.
    """
    known = [row for row in log.steps if "samples_per_s" in row]
    seconds = sum(row["seconds"] for row in known)
    if not seconds:
        return ""

    def mean(key: str) -> float:
        return float(sum(row[key] * row["seconds"] for row in known) / seconds)

    text = (
        f" ({short(mean('vision_tokens_per_s'))} vision, {short(mean('text_tokens_per_s'))} text), "
        f"{short(mean('samples_per_s'))} samples a second"
    )
    if all("mfu" in row for row in known):
        text += f", {mean('mfu'):.1%} of the devices' best speed (MFU)"
    return text


def lasting(seconds: float) -> str:
    """`12 s`, `3.4 minutes`."""
    return f"{short(seconds)} s" if seconds < 100 else f"{short(seconds / 60)} minutes"


def _held_out(log: TrainingLog, names: Sequence[tuple[str, str, str]]) -> list[list[Cell]]:
    return [
        [str(row["step"]), *(Number(row.get(key), unit) for key, _, unit in names)]
        for row in log.held_out
    ]


def as_toml(table: str, values: Mapping[str, Any]) -> str:
    """Settings as the TOML file that gives them again, with "none" for None, which TOML lacks."""
    lines, tables = [f"[{table}]"], []
    for key, value in values.items():
        if isinstance(value, Mapping):
            tables.append(as_toml(f"{table}.{key}", value))
        else:
            written = "none" if value is None else value
            lines.append(f"{key} = {json.dumps(written, ensure_ascii=False)}")
    return "\n\n".join(["\n".join(lines), *tables])
