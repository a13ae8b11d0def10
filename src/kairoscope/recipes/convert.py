"""Labels, robot datasets, datasets of conversations, and the older scripts' pickles, one into another."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.annotate.folder import looks_like_dataset
from kairoscope.core import UserError
from kairoscope.data.clips import list_videos
from kairoscope.data.conversations import is_dataset, read_conversations, write_conversations
from kairoscope.data.labels import load_folder, write_labels
from kairoscope.data.pickles import read_prompts, read_results
from kairoscope.data.rows import Problem, kind_of
from kairoscope.data.taskfiles import load_task
from kairoscope.data.unpickle import load_plain
from kairoscope.recipes.convert_robot import labels_into_dataset, samples_of_dataset
from kairoscope.recipes.subtask_times import TASK
from kairoscope.storage import write_text_atomic

_RESULTS = re.compile(r"fps\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What was written."""

    target: Path
    count: int
    what: str
    """`label`, `conversation` or `prediction`."""
    problems: tuple[Problem, ...]
    """What could not be used."""


def convert(
    source: Path,
    target: Path,
    *,
    video_root: Path | None = None,
    fps: float | None = None,
    num_trials: int | None = None,
    videos: Path | None = None,
    camera: str | None = None,
    into: Path | None = None,
    task: str | None = None,
    copy_videos: bool = False,
) -> Converted:
    """Labels -> conversations, conversations -> labels, pickles -> labels or predictions.

    Robot datasets -> labels, and labels -> a labelled copy of a robot dataset.

    Args:
        source: a folder with `labels.jsonl`, a label file, a dataset on disk, a pickle, or a folder
            of `results_*.pkl`.
        target: a new folder for conversations, a new `.jsonl` file for the rest.
        video_root: where relative paths of clips begin, in a dataset or pickle that is read and in
            a dataset that is written.
        fps: which answers of results with several frame rates; of a robot dataset, frames a second
            where it does not record them.
        num_trials: trials of results, where failed ones were left out.
        videos: the clips of responses without names, in their order.
        camera: of a robot dataset, which one's clips the labels are to name.
        into: a robot dataset; `target` becomes a copy of it with the labels of `source`.
        task: with `into`, a task file or name, for the signals that its events end.
        copy_videos: of a robot dataset, into files of their own.

    Raises:
        UserError: `source` is none of these, or `target` is there already or of the wrong kind.
    """
    problems: list[Problem] = []
    if kind_of(source) == "nothing":
        raise UserError(f"{source}: no such file or folder; expected labels, a dataset or a pickle")
    if task is not None and into is None:
        raise UserError(f"--task {task}: is for labels that go --into a dataset")
    if into is not None:
        done = labels_into_dataset(
            source,
            into,
            target,
            problems,
            fps=fps,
            task=load_task(task) if task else None,
            link_videos=not copy_videos,
        )
        return _done(done.path, done.num_written, "labelled episode", problems)
    if looks_like_dataset(source):
        _check_file(target)
        found = samples_of_dataset(
            source, target, problems, camera=camera, fps=fps, copy_videos=copy_videos
        )
        write_labels(found, target)
        return _done(target, len(found), "label", problems)
    if _is_results(source):
        _check_file(target)
        rows = read_results(source, fps=fps, num_trials=num_trials, problems=problems)
        _write_rows(target, rows)
        return _done(target, len(rows), "prediction", problems)
    if source.suffix.lower() in (".pkl", ".pickle"):
        return _from_pickle(source, target, problems, videos, video_root)
    return _labels_or_conversations(source, target, problems, video_root)


def _from_pickle(
    source: Path,
    target: Path,
    problems: list[Problem],
    videos: Path | None,
    video_root: Path | None,
) -> Converted:
    """Prompts and responses of an older script -> labels."""
    _check_file(target)
    names = [str(video) for video in list_videos(videos)] if videos else None
    labels = read_prompts(source, videos=names, problems=problems)
    root = video_root or source.parent
    write_labels([row.sample(root) for row in labels], target)
    return _done(target, len(labels), "label", problems)


def _labels_or_conversations(
    source: Path, target: Path, problems: list[Problem], video_root: Path | None
) -> Converted:
    """Either one -> the other."""
    if kind_of(source) == "folder" and is_dataset(source):
        _check_file(target)
        samples = read_conversations(source, video_root=video_root, problems=problems)
        write_labels(samples, target)
        return _done(target, len(samples), "label", problems)
    samples = load_folder(source, problems)
    if target.suffix.lower() == ".jsonl":
        raise UserError(f"{target}: labels become a dataset; allowed: the name of a new folder")
    write_conversations(samples, target, TASK, video_root=video_root)
    return _done(target, len(samples), "conversation", problems)


def _done(target: Path, count: int, what: str, problems: Sequence[Problem]) -> Converted:
    return Converted(target=target, count=count, what=what, problems=tuple(problems))


def _is_results(source: Path) -> bool:
    """Whether this is what the older scripts write about answers, and not about labels."""
    if kind_of(source) == "folder":
        return any(source.glob("results_*.pkl"))
    if source.suffix.lower() not in (".pkl", ".pickle"):
        return False
    data = load_plain(source)
    return isinstance(data, dict) and any(_RESULTS.fullmatch(str(key)) for key in data)


def _check_file(target: Path) -> None:
    if target.suffix.lower() != ".jsonl":
        raise UserError(f"{target}: allowed: the name of a new .jsonl file")
    if target.exists():
        raise UserError(f"{target}: is there already; choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)


def _write_rows(target: Path, rows: Sequence[dict[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_text_atomic(target, "".join(lines))
