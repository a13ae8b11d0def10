"""Rows of finished clips -> the training set: labels, split by source, conversations."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from os.path import relpath
from pathlib import Path
from typing import Any

from kairoscope.core import Sample, Task
from kairoscope.data.conversations import write_conversations
from kairoscope.data.labels import EventSample, label_row
from kairoscope.data.split import draw as lot
from kairoscope.data.split import split_by_group
from kairoscope.events import Event, Events, Query
from kairoscope.render.produce import CLIPS, ROWS, STAMPED
from kairoscope.storage import read_json, write_text_atomic

LABELS = "labels.jsonl"
SIDES = ("train", "test")
EventTask = Task[Query, Events]
Row = Mapping[str, Any]
"""Of a finished clip, as `produce` writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What the folder holds now."""

    rows: tuple[dict[str, Any], ...]
    """Of every clip, labelled or not."""
    samples: tuple[EventSample, ...]
    """Of every labelled clip; groups that share a source demonstration are one."""
    train: tuple[EventSample, ...]
    test: tuple[EventSample, ...]
    num_aside: int
    """Labelled clips on neither side: made of sources of both."""

    @property
    def sides(self) -> dict[str, tuple[EventSample, ...]]:
        """Both sides of the split by name."""
        return {"train": self.train, "test": self.test}


def collect(out: Path, names: Sequence[str], *, holdout: float, seed: int) -> Collection:
    """Read the rows of clips and split what is labelled by source demonstration.

    Args:
        out: the folder.
        names: clips in order; those without a row are left out.
        holdout: share of the source demonstrations of each task kept for the test, 0 to below 1.
        seed: of the choice.
    """
    rows = tuple(_rows(out, names))
    labelled = [row for row in rows if row["events"] is not None]
    samples = _samples(out, labelled)
    checksums = {row["clip"]: row["checksum"] for row in labelled}
    same = {sample.id: checksums[sample.video.stem] for sample in samples}
    tied = _tied(labelled, samples)
    free = [sample for sample in samples if sample.scenario not in tied]
    train, test = split_by_group(free, holdout=holdout, seed=seed, same=same)
    for scenario in tied:
        mine = [row for row in labelled if row["task"] == scenario]
        kept, held = _by_source(mine, holdout, seed)
        train += _samples(out, kept)
        test += _samples(out, held)
    return Collection(
        rows=rows,
        samples=tuple(samples),
        train=tuple(sorted(train, key=lambda sample: sample.id)),
        test=tuple(sorted(test, key=lambda sample: sample.id)),
        num_aside=len(samples) - len(train) - len(test),
    )


def _tied(rows: Sequence[Row], samples: Sequence[EventSample]) -> list[str]:
    """Scenarios of several sources whose clips tie all of them into one group."""
    sources: dict[str, set[str]] = {}
    groups: dict[str, set[str]] = {}
    for row, sample in zip(rows, samples, strict=True):
        sources.setdefault(sample.scenario, set()).update(row["groups"])
        groups.setdefault(sample.scenario, set()).add(sample.group)
    return sorted(name for name, inside in groups.items() if len(inside) == 1 < len(sources[name]))


def _by_source(rows: Sequence[Row], holdout: float, seed: int) -> tuple[list[Row], list[Row]]:
    """(train, test) of clips made of several sources each: those of both kinds are on neither side.

    Where no clip is made of held-out sources alone, nothing is held out, and none is lost.
    """
    sources = sorted({name for row in rows for name in row["groups"]})
    drawn = sorted(sources, key=lambda name: (lot(seed, name), name))
    held = set(drawn[: max(1, int(holdout * len(drawn) + 0.5))]) if holdout else set()
    test = [row for row in rows if held.issuperset(row["groups"])]
    if not test:
        return list(rows), []
    return [row for row in rows if held.isdisjoint(row["groups"])], test


def _rows(out: Path, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        path = out / ROWS / f"{name}.json"
        if path.is_file():
            yield read_json(path)


def joined(lists: Any) -> dict[str, str]:
    """Name -> the first name among all that are tied to it by standing in one list."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for names in lists:
        for name in names:
            first, last = sorted((root(names[0]), root(name)))
            parent[last] = first
    return {name: root(name) for name in parent}


def _samples(out: Path, rows: Sequence[Row]) -> list[EventSample]:
    """Labelled clips; those that share a source, directly or through others, are one group."""
    group = joined(row["groups"] for row in rows)
    return [_sample(out, row, group[row["groups"][0]]) for row in rows]


def _sample(out: Path, row: Row, group: str) -> EventSample:
    ends_s = [event["end_s"] for event in row["events"]]
    events = tuple(
        Event(event["name"], start_s, event["end_s"])
        for event, start_s in zip(row["events"], [0.0, *ends_s], strict=False)
    )
    return Sample(
        id=f"{CLIPS}/{row['clip']}.mp4",
        video=out / CLIPS / f"{row['clip']}.mp4",
        query=tuple(event.name for event in events),
        gold=events,
        group=group,
        scenario=row["task"],
        duration_s=row["duration_s"],
    )


def write_sets(out: Path, found: Collection) -> None:
    """`labels.jsonl` of all clips, and of each side of the split in a folder of its own."""
    _write_labels(out, found.samples)
    for side, samples in found.sides.items():
        if samples:
            (out / side).mkdir(exist_ok=True)
            _write_labels(out / side, samples)
        else:
            shutil.rmtree(out / side, ignore_errors=True)


def _write_labels(folder: Path, samples: Sequence[EventSample]) -> None:
    lines = []
    for sample in samples:
        row = label_row(sample, folder) | {"video": Path(relpath(sample.video, folder)).as_posix()}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    text = "".join(lines)
    path = folder / LABELS
    if not path.is_file() or path.read_text("utf-8") != text:
        write_text_atomic(path, text)


def write_dialogues(out: Path, found: Collection, task: EventTask) -> None:
    """`conversations_train` and `conversations_test`, as `datasets` and cosmos-rl load them.

    They speak of the stamped clips, by paths relative to the folder. What is as it would be written
    is left alone.
    """
    for side, samples in found.sides.items():
        stamped = [replace(s, video=out / STAMPED / s.video.name) for s in samples]
        target, mark = out / f"conversations_{side}", out / ROWS / f"conversations_{side}.mark"
        told = [(s.id, s.group, s.scenario, s.gold, s.duration_s) for s in stamped]
        digest = blake2b(repr((task.version, told)).encode(), digest_size=12).hexdigest()
        if target.is_dir() and mark.is_file() and mark.read_text("utf-8") == digest:
            continue
        mark.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        if stamped:
            write_conversations(stamped, target, task, video_root=out)
            write_text_atomic(mark, digest)
