"""What the recorded signals of every episode say about a task's events, kept in `signals.jsonl`.

One row an episode, on disk as soon as it is made. Rows count for as long as the dataset is what it
was: where any of its files has changed, its episodes are read again, which takes milliseconds each.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from kairoscope.annotate.sealed import mend, sealed, write_rows
from kairoscope.core import UserError
from kairoscope.events import Events, Query, aligned, starts_s
from kairoscope.robot.columns import Floats
from kairoscope.robot.episode import Dataset, Episode
from kairoscope.robot.gripper import arm_in
from kairoscope.robot.naming import SignalPlan
from kairoscope.robot.signals import Evidence, Gripper, describe, find_grippers, match, moments
from kairoscope.runs import Run
from kairoscope.storage import file_state

ROWS = "signals"
KEY = ("clip",)
VERSION = 2
"""Of what a row holds and how it was found; a row of another version is made again."""
MOST_LOOKED_AT = 32
"""Episodes in which hands are looked for, spread over the dataset."""
OnEpisode = Callable[[int, int], None]
"""(episodes done, episodes in all)."""


def present_ids(dataset: Dataset) -> tuple[str, ...]:
    """Episodes of which the dataset holds more than the name."""
    missing = set(getattr(dataset, "missing", ()))
    return tuple(name for name in dataset.ids if name not in missing)


def dataset_state(path: Path, besides: Path) -> str:
    """Changes whenever a file of the dataset does, except in one folder; nothing is opened."""
    digest = blake2b(digest_size=12)
    if path.is_file():
        digest.update(repr(file_state(path)).encode())
    for file in sorted(path.rglob("*")) if path.is_dir() else ():
        if file.is_file() and not file.resolve().is_relative_to(besides.resolve()):
            digest.update(f"{file.relative_to(path)} {file_state(file)}\n".encode())
    return digest.hexdigest()


def look_for_grippers(dataset: Dataset, query: Query) -> tuple[Gripper, ...]:
    """The hands of a dataset, from episodes all over it that can be read."""

    def readable() -> Iterator[Episode]:
        ids = present_ids(dataset)
        wanted = np.linspace(0, len(ids) - 1, min(len(ids), MOST_LOOKED_AT)).round().astype(int)
        for place in wanted.tolist():
            try:
                episode = dataset.episode(ids[place])
            except UserError:
                continue  # listed when its own turn comes
            if _fault(episode) is None:
                yield episode

    return find_grippers(readable(), query)


def _fault(episode: Episode) -> str | None:
    """Why the signals of an episode cannot be used, in words."""
    num_frames = len(episode.times_s)
    if not num_frames:
        return "it has no frames"
    if not np.all(np.diff(episode.times_s) > 0):
        return "the times of its frames do not ascend"
    for channel in episode.channels:
        if len(channel.values_TD) != num_frames:
            rows = len(channel.values_TD)
            return f"{channel.name} has {rows} rows, the episode has {num_frames} frames"
    return None


def gather(
    dataset: Dataset,
    query: Query,
    run: Run,
    *,
    plan: SignalPlan | None,
    grippers: Sequence[Gripper],
    arms: Sequence[str] = (),
    on_episode: OnEpisode,
) -> int:
    """Bring `signals.jsonl` up to date with the dataset: one row for each of `present_ids`.

    Returns how many rows were damaged, and so made again.
    """
    ids = present_ids(dataset)
    hands = "".join(describe(gripper) for gripper in grippers)
    found_with = blake2b(f"{VERSION}{dataset.fps}{hands}".encode(), digest_size=8).hexdigest()
    state = f"{dataset_state(dataset.path, run.path)} {found_with}"
    num_damaged = mend(run, ROWS)
    run.forget(ROWS, lambda row: bool(row["state"] != state))
    done = {key[0] for key in run.done_keys(ROWS, KEY)}
    for number, name in enumerate(ids, 1):
        if name not in done:
            row = episode_row(dataset, name, query, plan, grippers, arms)
            run.append(ROWS, sealed({**row, "state": state}))
        on_episode(number, len(ids))
    if [row["clip"] for row in run.rows(ROWS, KEY)] != list(ids):  # some were made again
        write_rows(run.file(ROWS), run.rows_ordered(ROWS, "clip", ids))
    return num_damaged


def speaks(episode: Episode, grippers: Sequence[Gripper]) -> bool:
    """Whether anything recorded says what happens: a hand, or objects that move.

    Pauses of an arm alone are evidence of nothing.
    """
    return bool(grippers) or any(channel.kind == "object_pose" for channel in episode.channels)


def matched(
    episode: Episode, grippers: Sequence[Gripper], query: Query, arms: Sequence[str] = ()
) -> tuple[Evidence, ...]:
    """What the moments of an episode say about each event, arm by arm where there are several.

    An arm that is called left or right has its own hand's moments for likelier ones.
    """
    found = moments(episode, grippers)
    placed: dict[int, Evidence] = {}
    for arm in dict.fromkeys(arms or ("",)):
        places = [i for i in range(len(query)) if not arms or arms[i] == arm]
        side = arm_in(arm)
        words = f" with the {side} hand" if side and len(set(arms)) > 1 else ""
        own = match(found, tuple(query[i] + words for i in places), episode.times_s)
        placed |= {i: replace(one, event=query[i]) for i, one in zip(places, own, strict=True)}
    return tuple(placed[i] for i in range(len(query)))


def episode_row(
    dataset: Dataset,
    name: str,
    query: Query,
    plan: SignalPlan | None,
    grippers: Sequence[Gripper],
    arms: Sequence[str] = (),
) -> dict[str, Any]:
    """What is kept of one episode; `problem` says why there is nothing."""
    row: dict[str, Any] = {"clip": name, "problem": None, "times_s": [], "digest": None}
    try:
        episode = dataset.episode(name)
    except UserError as error:
        return row | {"problem": str(error)}
    if fault := _fault(episode):
        return row | {"problem": f"{dataset.path}: {name}: {fault}"}
    evidence = matched(episode, grippers, query, arms) if speaks(episode, grippers) else ()
    return {
        **row,
        **seen_in(episode),
        "task": episode.task,
        "source": episode.source,
        "labels": _labels(episode, query, plan),
        "labelled_by": episode.labelled_by if episode.events else None,
        "label_names": [event.name for event in episode.events],
        "signals": [_evidence(one) for one in evidence],
        "notes": list(episode.notes),
    }


def seen_in(episode: Episode) -> dict[str, Any]:
    """The times of an episode's frames, and where they can be seen."""
    return {
        "clip": episode.id,
        "times_s": [round(float(time_s), 4) for time_s in episode.times_s],
        "digest": _digest(episode),
        "videos": {
            camera: [str(span.path), span.start_s, span.end_s]
            for camera, span in episode.videos.items()
        },
        "cameras_in_file": list(episode.cameras_in_file),
    }


def _digest(episode: Episode) -> str:
    """Of the recording: the same for another copy of it, whatever its labels are."""
    digest = blake2b(np.ascontiguousarray(episode.times_s).tobytes(), digest_size=6)
    for channel in episode.channels:
        digest.update(channel.name.encode())
        digest.update(np.ascontiguousarray(channel.values_TD).tobytes())
    return digest.hexdigest()


def _labels(episode: Episode, query: Query, plan: SignalPlan | None) -> list[Any]:
    """(start s, end s) of each event of the query that the episode is labelled with, else None.

    Labels that Kairoscope made are found again and not taken for anybody's.
    """
    if episode.labelled_by == "kairoscope":
        return [None] * len(query)
    events: Events = plan.events_named(episode.events) if plan else episode.events
    timed = [(event, start_s) for event, start_s in zip(events, starts_s(events), strict=True)]
    starts = {id(event): start_s for event, start_s in timed}
    return [
        None if event is None else [round(starts[id(event)], 4), round(event.end_s, 4)]
        for event in aligned(events, query)
    ]


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "frame": evidence.frame,
        "found": round(evidence.found, 4),
        "confidence": round(evidence.confidence, 4),
        "interval_s": evidence.interval_s and [round(t, 4) for t in evidence.interval_s],
        "density": packed(evidence.probabilities_T),
        "reason": evidence.reason,
    }


def packed(probabilities_T: Floats) -> list[list[float]]:
    """Probabilities as (how many frames, value) runs: most frames share one small value."""
    rounded = [float(f"{value:.4g}") for value in probabilities_T]
    return [[len(list(run)), value] for value, run in groupby(rounded)]


def unpacked(runs: Sequence[Sequence[float]]) -> Floats:
    """(T,) probabilities that `packed` made, summing to 1."""
    values = np.repeat([value for _, value in runs], [int(count) for count, _ in runs])
    return np.asarray(values / values.sum())
