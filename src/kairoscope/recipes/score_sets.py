"""Labels and clips of the user's, or VideoPhy-2, into `train` and `test` folders of scored clips."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from kairoscope.core import Sample, UserError
from kairoscope.curate import clip_hashes
from kairoscope.data.clips import clip_fault, list_videos
from kairoscope.data.conversations import write_conversations
from kairoscope.data.downloads import download_clips
from kairoscope.data.label_files import LABELS_NAME, write_rows
from kairoscope.data.rows import Problem, kind_of
from kairoscope.data.score_sets import (
    Columns,
    Labelled,
    balanced,
    file_name,
    labelled_rows,
    matched,
    prompts_in,
    split_stratified,
)
from kairoscope.data.scores import SCENARIO, ScoreSample, score_row
from kairoscope.recipes.physics_score import TASK
from kairoscope.recipes.score_tables import read_table
from kairoscope.recipes.stages import Progress
from kairoscope.storage import write_json_atomic

CLIPS, REPORT = "clips", "prepared.json"
USUAL = Columns()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a set is made from, and how."""

    source: str
    """A table, a dataset on disk, or the name of one on the hub."""
    out: Path
    videos: Path | None = None
    """Folder of clips; None: links are downloaded."""
    prompts: Path | None = None
    columns: Columns = USUAL
    sheet: str | None = None
    split: str | None = None
    scale_labels: bool = False
    balance_labels: bool = False
    eval_size: float = 0.1
    seed: int = 42
    workers: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What came of it."""

    train: int
    test: int
    problems: tuple[Problem, ...]
    labels: Mapping[str, Mapping[str, int]]


def prepare(asked: Asked, on_progress: Progress) -> Prepared:
    """Write `train/` and `test/` (labels.jsonl and a dataset of conversations each) and what was left out.

    Raises:
        UserError: nothing usable, a missing column, an output folder that holds a set already.
    """
    if kind_of(asked.out / REPORT) == "file":
        raise UserError(f"{asked.out}: holds a prepared set already; choose another --out")
    name = Path(asked.source)
    sheet = read_table(asked.source, sheet=asked.sheet, split=asked.split)
    rows, problems = labelled_rows(sheet, name, asked.columns, scale_labels=asked.scale_labels)
    pairs, more = _with_clips(asked, rows, on_progress)
    problems += more
    if not pairs:
        first = f"; first: {problems[0]}" if problems else ""
        raise UserError(f"{asked.source}: not one row has a usable score and clip{first}")
    captions = {video: row.caption for row, video in pairs if row.caption}
    if asked.prompts is not None:
        texts, odd = prompts_in(asked.prompts, [video for _, video in pairs])
        captions |= texts
        problems += odd
    samples = [_sample(row, video, captions.get(video)) for row, video in pairs]
    same = clip_hashes(samples)
    problems += [
        Problem(where=s.id, what="no video that can be decoded")
        for s in samples
        if s.id not in same
    ]
    samples = [sample for sample in samples if sample.id in same]
    train, test = split_stratified(samples, share=asked.eval_size, seed=asked.seed, same=same)
    if asked.balance_labels:
        train, surplus = balanced(train, asked.seed)
        problems += [Problem(where=s.id, what="over the rarest score's number") for s in surplus]
    return _written(asked, train, test, problems, captions)


def _with_clips(
    asked: Asked, rows: Sequence[Labelled], on_progress: Progress
) -> tuple[list[tuple[Labelled, Path]], list[Problem]]:
    """Rows with the clips of a folder, or with what their links lead to."""
    if asked.videos is not None:
        return matched(rows, list_videos(asked.videos))
    clips, problems = download_clips(
        [row.link for row in rows],
        asked.out / CLIPS,
        workers=asked.workers,
        on_progress=lambda done, total: on_progress("downloading clips", done, total),
    )
    good: list[tuple[Labelled, Path]] = []
    seen: dict[str, Labelled] = {}
    contradicted = _contradicted(rows)
    for row in rows:
        if row.link in contradicted:
            problems.append(Problem(where=row.where, what="another score for the same link"))
        elif row.link in seen:
            first = seen[row.link].where
            problems.append(Problem(where=row.where, what=f"the same link as {first}"))
        elif row.link in clips:
            seen[row.link] = row
            good.append((row, clips[row.link]))
    return good, problems


def _contradicted(rows: Sequence[Labelled]) -> set[str]:
    """Links that rows give different scores."""
    scores: dict[str, set[int]] = {}
    for row in rows:
        scores.setdefault(row.link, set()).add(row.score)
    return {link for link, found in scores.items() if len(found) > 1}


def _sample(row: Labelled, video: Path, caption: str | None) -> ScoreSample:
    """Clips that were made from one prompt are of one group; others are each their own."""
    fault = clip_fault(video)
    group = file_name(row.link) if fault or not caption else _digest(caption)
    return Sample(
        id=video.name, video=video, query=(), gold=row.score, group=group, scenario=SCENARIO
    )


def _digest(caption: str) -> str:
    folded = " ".join(caption.lower().split())
    return f"prompt {sha256(folded.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _written(
    asked: Asked,
    train: Sequence[ScoreSample],
    test: Sequence[ScoreSample],
    problems: Sequence[Problem],
    captions: Mapping[Path, str | None],
) -> Prepared:
    labels = {}
    for name, samples in (("train", train), ("test", test)):
        folder = asked.out / name
        folder.mkdir(parents=True, exist_ok=True)
        if not samples:
            continue
        rows = []
        for sample in samples:
            row: dict[str, Any] = score_row(sample, folder, caption=captions.get(sample.video))
            row["video"] = Path(
                os.path.relpath(sample.video.resolve(), folder.resolve())
            ).as_posix()
            rows.append(row)
        write_rows(rows, folder / LABELS_NAME)
        write_conversations(samples, folder / "conversations", TASK)
        counts = Counter(str(sample.gold) for sample in samples)
        labels[name] = dict(sorted(counts.items()))
    report = {
        "source": asked.source,
        "seed": asked.seed,
        "eval_size": asked.eval_size,
        "scale_labels": asked.scale_labels,
        "balance_labels": asked.balance_labels,
        "labels": labels,
        "problems": [{"where": p.where, "what": p.what} for p in problems],
    }
    write_json_atomic(asked.out / REPORT, report)
    return Prepared(train=len(train), test=len(test), problems=tuple(problems), labels=labels)
