"""Labels out of robot datasets, and into them: by hand, or from another format."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kairoscope.annotate.clips import clip_of, view_of
from kairoscope.annotate.evidence import present_ids, seen_in
from kairoscope.annotate.folder import open_any
from kairoscope.core import Sample, UserError
from kairoscope.data.labels import EventSample, LabelRow, label_row, parse_row, read_labels
from kairoscope.data.rows import Problem
from kairoscope.data.taskfiles import TaskFile
from kairoscope.events import Query
from kairoscope.robot.episode import Dataset, Episode
from kairoscope.robot.naming import signal_plan
from kairoscope.robot.saving import Found, copy_name, save_boundaries
from kairoscope.storage import storage_error


def samples_of_dataset(
    source: Path,
    target: Path,
    problems: list[Problem],
    *,
    camera: str | None = None,
    fps: float | None = None,
    copy_videos: bool = False,
) -> list[EventSample]:
    """The labelled episodes of a dataset, each with a clip of its own.

    Args:
        source: a dataset.
        target: the label file that is going to be written; clips that have to be cut, or made of
            pictures, go into a folder beside it.
        problems: gets what is left out, and why.
        camera: see `annotate.clips.view_of`.
        fps: see `open_dataset`.
        copy_videos: into that folder, also where a file shows one episode and nothing else.
    """
    dataset = open_any(source, fps=fps)
    clips = target.with_name(f"{target.stem}_clips")
    samples = []
    for name in present_ids(dataset):
        where = f"{source}: {name}"
        try:
            sample = _sample(dataset, dataset.episode(name), clips, camera, copy=copy_videos)
            parse_row(label_row(sample, target.parent), 1)
        except UserError as error:
            problems.append(Problem(where=where, what=str(error)))
        else:
            samples.append(sample)
    if not samples:
        reason = problems[0].what if problems else "it has no episodes"
        raise UserError(f"{source}: no labelled episode to write; {reason}")
    return samples


def _sample(
    dataset: Dataset, episode: Episode, clips: Path, camera: str | None, *, copy: bool
) -> EventSample:
    if not episode.events:
        raise UserError("it has no labels")
    row = seen_in(episode)
    view = view_of(row, camera)
    if view is None:
        raise UserError(
            "it has no video and no pictures, which a label file speaks of (kairoscope render draws "
            "what robosuite recorded)"
        )
    step_s = float(np.median(np.diff(episode.times_s))) if len(episode.times_s) > 1 else 0.0
    names: Query = tuple(event.name for event in episode.events)
    return Sample(
        id=episode.id,
        video=_own_file(clip_of(dataset, row, view, clips), clips, episode.id, copy=copy),
        query=names,
        gold=episode.events,
        group=episode.source or episode.id,
        scenario=episode.task or ", ".join(names),
        duration_s=round(float(episode.times_s[-1]) + step_s, 4),
    )


def _own_file(clip: Path, folder: Path, episode_id: str, *, copy: bool) -> Path:
    """The clip, or with `copy` one in `folder`. Raises UserError where it cannot be written."""
    if not copy or clip.parent == folder:
        return clip.absolute()
    target = folder / f"{episode_id.replace('/', '_')}{clip.suffix}"
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clip, temporary)
        temporary.replace(target)
    except OSError as error:
        raise storage_error(error, target) from error
    return target.absolute()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsWritten:
    """What became of label rows that were written into a dataset."""

    path: Path
    num_written: int


def labels_into_dataset(
    source: Path,
    dataset_path: Path,
    target: Path,
    problems: list[Problem],
    *,
    fps: float | None = None,
    task: TaskFile | None = None,
    link_videos: bool = True,
) -> LabelsWritten:
    """A copy of a dataset that has the labels of a label file, as made by hand.

    A row is an episode's where its `clip` or its `group`, or the name of its video, is the
    episode's, such as `episode_000003.mp4` or `demo_3`.

    Raises UserError where no row is any episode's, or the format is not written.
    """
    dataset = open_any(dataset_path, fps=fps)
    if copy_name(dataset) is None:
        raise UserError(
            f"{dataset_path}: labels are not written into a dataset of {dataset.format}"
        )
    rows, bad = read_labels(source)
    problems += bad
    names = present_ids(dataset)
    found: dict[str, Found] = {}
    queries: dict[Query, int] = {}
    for row in rows:
        name = _episode_of(row, names)
        if name is None or name in found:
            what = "no episode of this name" if name is None else f"{name} has another row already"
            problems.append(Problem(where=f"{source}:{row.line}", what=f"{row.video!r}: {what}"))
            continue
        try:
            found[name] = _found(row, dataset.episode(name))
        except UserError as error:
            problems.append(Problem(where=f"{source}:{row.line}", what=str(error)))
            continue
        query = tuple(event.name for event in row.events)
        queries[query] = queries.get(query, 0) + 1
    if not found:
        raise UserError(f"{source}: none of its rows is an episode of {dataset_path}")
    if task is not None:
        plan = signal_plan(
            dataset, task.events, signals=task.signals, offsets=task.offsets, arms=task.arms
        )
    else:
        plan = signal_plan(dataset, max(queries, key=lambda query: queries[query]))
    saved = save_boundaries(
        dataset, target, found, plan=plan, labelled_by="human", link_videos=link_videos
    )
    problems += [Problem(where=f"{dataset_path}: {name}", what=why) for name, why in saved.problems]
    return LabelsWritten(path=saved.path, num_written=saved.num_written)


def _episode_of(row: LabelRow, names: Sequence[str]) -> str | None:
    """The episode that a row is about, by its name."""
    stem = os.path.splitext(os.path.basename(row.video))[0]  # noqa: PTH119, PTH122 (any text)
    for name in (row.clip, row.group, stem, stem.rsplit("-", 1)[0]):
        if name in names:
            return name
    return None


def _found(row: LabelRow, episode: Episode) -> Found:
    frames = tuple(int(np.abs(episode.times_s - e.end_s).argmin()) for e in row.events)
    last_s = float(episode.times_s[-1])
    step_s = last_s / max(1, len(episode.times_s) - 1)
    for event in row.events:
        if event.end_s > last_s + step_s + 0.05:
            raise UserError(
                f"{row.video!r}: {event.name!r} ends at {event.end_s:g} s, {episode.id} at "
                f"{last_s + step_s:.2f} s"
            )
    return Found(events=row.events, end_frames=frames)
