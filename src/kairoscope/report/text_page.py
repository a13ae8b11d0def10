"""The page of an evaluation of answers in free words: two figures, then every answer beside the truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kairoscope.report.blocks import Block, Cell, Heading, Number, Paragraph, Table
from kairoscope.report.document import write_document
from kairoscope.runs import Run, read_metrics, read_records

KIND = "text"
TITLES = {"words": "Words shared with the answer (F1)", "exact": "Answers that are the same text"}
SHOWN, CHARACTERS = 500, 160


def is_text(metrics: Mapping[str, Any] | None) -> bool:
    """Whether a `metrics.json` is of answers in free words."""
    return metrics is not None and metrics.get("kind") == KIND


def figure_rows(metrics: Mapping[str, Any]) -> list[tuple[str, float | None, Any, float | None]]:
    """(title, mean, interval, mean about wrong clips) of every figure."""
    return [
        (title, metrics.get(key), metrics.get(f"{key}_ci"), metrics.get(f"{key}_wrong_video"))
        for key, title in TITLES.items()
    ]


def write_text_page(folder: Path, *, title: str = "") -> Path:
    """Write `report.html` (and `report.md`) into the folder of an evaluation run; returns the page."""
    run = Run.read(folder)
    metrics = read_metrics(run) or {}
    figures: list[list[Cell]] = [
        [name, Number(mean, "", interval and (interval[0], interval[1])), Number(wrong)]
        for name, mean, interval, wrong in figure_rows(metrics)
    ]
    clips, groups = metrics["n_clips"], metrics["n_groups"]
    blocks: list[Block] = [
        Heading(1, title or f"Evaluation of {run.config.get('model', 'a model')}"),
        Paragraph(
            f"{clips} clips of {groups} recordings, {100 * (metrics['answered'] or 0):.1f} % answered."
        ),
        Table(("", "All answers", "About a wrong clip"), figures),
        Heading(2, "Answers"),
        Table(("Clip", "Asked", "Truth", "Answer", "Words"), _answers(run), 4),
    ]
    return write_document(blocks, folder, "report")[1]


def _answers(run: Run) -> list[list[Cell]]:
    """The answers that share least with the truth first."""
    records = sorted(read_records(run, "records"), key=lambda r: (r.scores["words"], r.sample_id))
    return [
        [
            record.sample_id,
            _cut(" ".join(part for part in record.query if part)),
            _cut(str(record.gold)),
            _cut(record.text) if record.unparsed is None else record.unparsed,
            Number(record.scores["words"]),
        ]
        for record in records[:SHOWN]
    ]


def _cut(text: str) -> str:
    """A text that leaves room for others; all of it is in records.jsonl."""
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"
