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
from kairoscope.data.split import split_by_group
from kairoscope.events import Event, Events, Query
from kairoscope.render.produce import CLIPS, ROWS, STAMPED
from kairoscope.storage import read_json, write_text_atomic

LABELS = "labels.jsonl"
SIDES = ("train", "test")
EventTask = Task[Query, Events]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What the folder holds now."""

    rows: tuple[dict[str, Any], ...]
    """Of every clip, labelled or not."""
    samples: tuple[EventSample, ...]
    """Of every labelled clip; groups that share a source demonstration are one."""
    train: tuple[EventSample, ...]
    test: tuple[EventSample, ...]

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
    group = joined(row["groups"] for row in labelled)
    samples = tuple(_sample(out, row, group[row["groups"][0]]) for row in labelled)
    checksums = {row["clip"]: row["checksum"] for row in labelled}
    same = {sample.id: checksums[sample.video.stem] for sample in samples}
    train, test = split_by_group(samples, holdout=holdout, seed=seed, same=same)
    return Collection(rows=rows, samples=samples, train=tuple(train), test=tuple(test))


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


def _sample(out: Path, row: Mapping[str, Any], group: str) -> EventSample:
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
