"""What is in a dataset: read whole, one episode at a time, and told in plain values."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kairoscope.annotate.clips import chosen_camera
from kairoscope.annotate.evidence import look_for_grippers, present_ids, speaks
from kairoscope.core import UserError
from kairoscope.data.taskfiles import TaskFile
from kairoscope.events import Query
from kairoscope.robot.episode import Channel, Dataset, Episode
from kairoscope.robot.naming import signal_plan
from kairoscope.robot.signals import Gripper, describe, match, moments

MOST_NAMED = 5
"""Episodes that are named beside a remark that holds for many."""


@dataclass(slots=True)
class _Range:
    """A channel over all episodes."""

    channel: Channel
    low: float = float("inf")
    high: float = float("-inf")
    num_episodes: int = 0
    num_missing: int = 0
    """Values that are not finite."""

    def add(self, channel: Channel) -> None:
        values = channel.values_TD
        finite = values[np.isfinite(values)]
        self.num_episodes += 1
        self.num_missing += values.size - finite.size
        if finite.size:
            self.low = min(self.low, float(finite.min()))
            self.high = max(self.high, float(finite.max()))

    def plain(self) -> dict[str, Any]:
        known = self.low <= self.high
        return {
            "name": self.channel.name,
            "kind": self.channel.kind,
            "columns": list(self.channel.columns) or self.channel.values_TD.shape[1],
            "unit": self.channel.unit,
            "of": self.channel.subject,
            "range": [round(self.low, 6), round(self.high, 6)] if known else None,
            "num_episodes": self.num_episodes,
            "num_not_finite": self.num_missing,
        }


@dataclass(slots=True)
class _Survey:
    """What has been seen so far; nothing in it grows with the length of the episodes."""

    query: Query
    grippers: tuple[Gripper, ...]
    num_frames: list[int] = field(default_factory=list)
    durations_s: list[float] = field(default_factory=list)
    channels: dict[str, _Range] = field(default_factory=dict)
    cameras: Counter[tuple[str, str]] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    labels: Counter[tuple[str, tuple[str, ...]]] = field(default_factory=Counter)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    decided: Counter[str] = field(default_factory=Counter)

    def add(self, episode: Episode) -> None:
        self.num_frames.append(len(episode.times_s))
        self.durations_s.append(float(episode.times_s[-1]) if len(episode.times_s) else 0.0)
        for channel in episode.channels:
            self.channels.setdefault(channel.name, _Range(channel)).add(channel)
        self.cameras.update((camera, "video") for camera in episode.videos)
        self.cameras.update((camera, "pictures") for camera in episode.cameras_in_file)
        self.tasks[episode.task] += 1
        if episode.events:
            names = tuple(event.name for event in episode.events)
            self.labels[episode.labelled_by, names] += 1
        for remark in episode.notes:
            self.remarks.setdefault(remark, []).append(episode.id)
        if self.query and speaks(episode, self.grippers) and len(episode.times_s):
            evidence = match(moments(episode, self.grippers), self.query, episode.times_s)
            self.decided.update(one.event for one in evidence if one.frame is not None)


def survey(
    dataset: Dataset,
    task: TaskFile | None = None,
    *,
    on_episode: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """What is in a dataset, as JSON values.

    Args:
        dataset: opened.
        task: also say which of its events the signals decide, and what ends which signal.
        on_episode: told (episodes done, episodes in all).

    Raises UserError for a task that cannot be the dataset's.
    """
    query = task.events if task else ()
    plan = signal_plan(dataset, query, signals=task.signals, offsets=task.offsets) if task else None
    grippers = look_for_grippers(dataset, query)
    seen = _Survey(query, grippers)
    ids = present_ids(dataset)
    for number, name in enumerate(ids, 1):
        try:
            seen.add(dataset.episode(name))
        except UserError as error:
            seen.problems.append((name, str(error)))
        on_episode(number, len(ids))
    found = _told(dataset, seen)
    if task is not None:
        found["task"] = {
            "name": task.name,
            "events": list(query),
            "decided_by_signals": {event: seen.decided[event] for event in query},
            "signals": dict(plan.signals) if plan else {},
            "notes": list(plan.notes) if plan else [],
        }
    return found


def _told(dataset: Dataset, seen: _Survey) -> dict[str, Any]:
    cameras: list[dict[str, Any]] = [
        {"name": name, "kind": kind, "num_episodes": count}
        for (name, kind), count in seen.cameras.items()
    ]
    return {
        "path": str(dataset.path),
        "format": dataset.format,
        "fps": _rate(dataset),
        "num_episodes": len(dataset.ids),
        "num_readable": len(seen.num_frames),
        "num_frames": _spread(seen.num_frames),
        "duration_s": _spread([round(duration_s, 3) for duration_s in seen.durations_s]),
        "tasks": dict(seen.tasks),
        "cameras": cameras,
        "channels": [channel.plain() for channel in seen.channels.values()],
        "labels": [
            {"labelled_by": by, "events": list(names), "num_episodes": count}
            for (by, names), count in seen.labels.items()
        ],
        "grippers": [describe(gripper) for gripper in seen.grippers],
        "annotate_uses": {
            "signals": bool(seen.grippers)
            or any(c.channel.kind == "object_pose" for c in seen.channels.values()),
            "camera": chosen_camera([camera["name"] for camera in cameras]),
            "num_examples": sum(
                count for (by, _), count in seen.labels.items() if by != "kairoscope"
            ),
        },
        "notes": list(getattr(dataset, "notes", ())),
        "remarks": [
            {"what": what, "num_episodes": len(ids), "episodes": ids[:MOST_NAMED]}
            for what, ids in sorted(seen.remarks.items(), key=lambda item: -len(item[1]))
        ],
        "problems": [{"episode": name, "reason": reason} for name, reason in seen.problems],
    }


def _rate(dataset: Dataset) -> float | None:
    try:
        return dataset.fps
    except UserError:
        return None  # named in the problems of its episodes


def _spread(values: list[Any]) -> dict[str, Any] | None:
    """Smallest, middle, largest and sum."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "min": ordered[0],
        "median": ordered[len(ordered) // 2],
        "max": ordered[-1],
        "total": round(sum(ordered), 3),
    }
