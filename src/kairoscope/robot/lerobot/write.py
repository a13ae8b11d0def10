"""Subtask labels into a LeRobot dataset, in the forms that lerobot 0.4.4 reads.

    data/**/*.parquet                    column `subtask_index`, int64, a number a frame
    meta/subtasks.parquet                the texts, row i being that of subtask_index i
    meta/info.json                       the feature `subtask_index`
    meta/episodes/**/*.parquet (v3)      SARM's columns; statistics of `subtask_index`
    meta/episodes.jsonl (v2)             the same columns as keys, which lerobot's converter keeps
    meta/stats.json, episodes_stats      statistics of `subtask_index`, where there are any
    meta/temporal_proportions_*.json     what SARM's loss is weighted by
    meta/kairoscope.json                 which labels are ours; not read by lerobot

The order of writing is such that a run that was killed is finished by the same command.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kairoscope.core import UserError
from kairoscope.events import Event
from kairoscope.robot.hdf5 import checked_fps
from kairoscope.robot.lerobot.choose import Choice, Offer, Outcome, choose
from kairoscope.robot.lerobot.dataset import episode_id, open_files
from kairoscope.robot.lerobot.files import check_target, write_text
from kairoscope.robot.lerobot.info import INFO, KNOWN_VERSIONS
from kairoscope.robot.lerobot.labelling import Labelling
from kairoscope.robot.lerobot.labels import MARKS, Mark
from kairoscope.robot.replacing import check_writable


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of every episode; each id is in exactly one of the first five."""

    path: Path
    written: tuple[str, ...]
    """Have the labels that were offered."""
    kept: tuple[str, ...]
    """Nothing was offered: have the labels that they had."""
    protected: tuple[str, ...]
    """Others were offered; have the labels that they had, which were not made by Kairoscope."""
    unlabelled: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]
    """(id, why nothing was written for it)."""
    notes: tuple[str, ...]


def write_lerobot(
    source: Path | str,
    out: Path | str | None,
    boundaries: Mapping[str, Sequence[Event]],
    *,
    labelled_by: Literal["human", "kairoscope"] = "kairoscope",
    prefix: Literal["dense", "sparse"] = "dense",
    overwrite: bool = False,
    in_place: bool = False,
    fps: float | None = None,
    link_videos: bool = True,
) -> Written:
    """Write a copy of a dataset that has these labels, or label it in place.

    Args:
        source: a dataset of v2.0, v2.1 or v3.0; never changed unless `in_place`.
        out: folder of the copy, new, or what an earlier run wrote; None with `in_place`.
        boundaries: events by episode id, ends in s from the episode's first frame, ascending.
        labelled_by: who made them.
        prefix: of SARM's columns. `dense` is the set that SARM can be trained with alone.
        overwrite: also replace labels that a person, or nobody known, made.
        in_place: change the dataset itself, each file whole or not at all.
        fps: as for `open_lerobot`.
        link_videos: into a copy, as hard links where the disk can; False: a file of their own.

    An episode that cannot be read, or whose events cannot be its labels, is a problem in what is
    returned and ends nothing. Raises UserError where the dataset is of a version that is not
    known, `out` cannot take it, or the disk is full.
    """
    here = Path(source)
    there = _target(here, out, in_place=in_place)
    dataset = open_files(here, checked_fps(fps))
    if dataset.info.version not in KNOWN_VERSIONS:
        known = ", ".join(KNOWN_VERSIONS)
        raise UserError(
            f"{here / INFO}: codebase_version is {dataset.info.version!r}; written are {known}"
        )
    has_copy = not in_place and (there / INFO).is_file()
    copy = open_files(there, fps) if has_copy else None
    offer = Offer(
        boundaries=boundaries, labelled_by=labelled_by, prefix=prefix, overwrite=overwrite
    )
    choices = [choose(dataset, copy, index, offer) for index in dataset.listing.indices]
    marks = (copy or dataset).tables.marks
    _write_marks(there, choices, marks, is_done=False)
    labelling = Labelling(dataset, copy, there, choices, prefix)
    labelling.write()
    if not in_place:
        labelling.copy_the_rest(link_videos=link_videos)
    labelling.write_info()
    _write_marks(there, labelling.choices, marks, is_done=True)
    return _summary(there, labelling.choices, boundaries, labelling.notes)


def _target(source: Path, out: Path | str | None, *, in_place: bool) -> Path:
    """The folder that is written. Raises UserError where it cannot take a dataset."""
    if not (source / INFO).is_file():
        raise UserError(f"{source}: is no LeRobot dataset of v2 or v3: it has no {INFO}")
    there = source if out is None else Path(out)
    if in_place and there.resolve() == source.resolve():
        check_writable(source / INFO)
        return source
    if in_place or out is None:
        raise UserError(f"{source}: give either a folder for the copy or in_place, got {out}")
    check_target(source, there)
    return there


def _summary(
    path: Path, choices: Sequence[Choice], offered: Mapping[str, Any], notes: Sequence[str]
) -> Written:
    def ids(outcome: Outcome) -> tuple[str, ...]:
        return tuple(episode_id(c.index) for c in choices if c.outcome == outcome)

    known = {episode_id(choice.index) for choice in choices}
    problems = [(episode_id(c.index), c.reason) for c in choices if c.outcome == "problem"]
    problems += [(name, "the dataset has no such episode") for name in offered if name not in known]
    return Written(
        path=path,
        written=ids("written"),
        kept=ids("kept"),
        protected=ids("protected"),
        unlabelled=ids("unlabelled"),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _write_marks(
    root: Path, choices: Sequence[Choice], marks: Mapping[int, Mark], *, is_done: bool
) -> None:
    """`meta/kairoscope.json`: until the write is done, with the labels that are being replaced.

    Episodes that cannot be read now keep the marks that they have.
    """
    episodes: dict[str, dict[str, Any]] = {}
    for choice in choices:
        mark = None if choice.num_frames else marks.get(choice.index)
        if mark is not None:
            entry = {"labelled_by": mark.labelled_by, "labels": mark.written[0]}
            episodes[str(choice.index)] = entry
        if choice.labelled_by == "unknown":
            continue
        entry = {"labelled_by": choice.labelled_by, "labels": choice.frames}
        if choice.replaced is not None and not is_done:
            entry["replaced"] = choice.replaced
        episodes[str(choice.index)] = entry
    what = "Labels that Kairoscope wrote: name, first frame, frame at which it is done."
    lines = ",\n".join(
        f"  {json.dumps(index)}: {json.dumps(entry, ensure_ascii=False)}"
        for index, entry in episodes.items()
    )
    body = f'{{\n "what": {json.dumps(what)},\n "version": 1,\n "episodes": {{\n{lines}\n }}\n}}\n'
    write_text(root / MARKS, body)
