"""Everything about one clip that a figure shows: frames, recorded signals, boundaries, probabilities."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kairoscope.annotate.clips import view_of
from kairoscope.annotate.combining import combine
from kairoscope.annotate.evidence import episode_row, look_for_grippers, present_ids
from kairoscope.annotate.folder import open_any
from kairoscope.annotate.sources import evidence_of
from kairoscope.core import UserError
from kairoscope.data.taskfiles import TaskFile
from kairoscope.events import starts_s
from kairoscope.pool_fitting import default_pool
from kairoscope.review.curves import Curves
from kairoscope.review.folder import ReviewFolder, Seen
from kairoscope.review.media import Album, Cinema
from kairoscope.robot.arm_speed import arm_speeds
from kairoscope.robot.columns import Floats, Table, table_of
from kairoscope.robot.episode import Dataset, Episode, UnreadableEpisode
from kairoscope.robot.gripper import Gripper, places_of
from kairoscope.robot.naming import signal_plan

Pixels = NDArray[np.uint8]
MOST_OBJECTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One event and what is known of its end."""

    name: str
    start_s: float
    end_s: float
    confidence: float | None = None
    interval_s: tuple[float, float] | None = None
    """The end lies inside with probability 0.8."""
    by: str = ""
    """What placed it: label, signals, model, prior; empty where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A recorded signal, or something computed from several."""

    name: str
    unit: str
    """What its values mean, such as `0 open, 1 shut`."""
    lines: tuple[tuple[str, Floats], ...]
    """(name, (T,) values)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One clip."""

    title: str
    about: str
    times_s: Floats
    """(T,)"""
    events: tuple[Span | None, ...]
    """One for each name; None where it was not placed."""
    names: tuple[str, ...]
    traces: tuple[Trace, ...]
    curves: Curves
    picture: Callable[[int], Pixels] | None
    """Frame -> (H, W, 3); None where the clip has no pictures."""
    notes: tuple[str, ...] = ()


def story_of_run(path: Path, clip: str | None, camera: str | None = None) -> Story:
    """A clip of an annotated folder; None: the one to review first. Raises UserError."""
    folder = ReviewFolder(path)
    name = folder.clips[0].clip if clip is None else clip
    seen = folder.seen(name, camera)
    if not len(seen.times_s):
        raise UserError(f"{path}: {name}: {seen.why or 'its frames are not known'}")
    rows = folder.corrected(seen) or folder.events(seen)
    traces: tuple[Trace, ...] = ()
    notes = [seen.why] if seen.why else []
    if folder.is_dataset:
        try:
            traces = traces_of(
                folder.dataset.episode(name), look_for_grippers(folder.dataset, folder.query)
            )
        except UserError as error:
            notes.append(f"no signals: {error}")
    return Story(
        title=name,
        about=f"{folder.title}, {path.name}",
        times_s=seen.times_s,
        events=tuple(_span(row) for row in rows),
        names=folder.query,
        traces=traces,
        curves=folder.curves(seen),
        picture=_picture_of(folder, seen),
        notes=tuple(notes),
    )


def _picture_of(folder: ReviewFolder, seen: Seen) -> Callable[[int], Pixels] | None:
    if seen.shown is None:
        return None
    return lambda frame: _pixels(folder.picture(seen, frame))


def _pixels(jpeg: bytes) -> Pixels:
    import io

    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def _span(row: Mapping[str, Any]) -> Span | None:
    if row.get("end_s") is None:
        return None
    interval = row.get("end_interval_s")
    return Span(
        name=row["event"],
        start_s=row["start_s"],
        end_s=row["end_s"],
        confidence=row["confidence"],
        interval_s=(interval[0], interval[1]) if interval else None,
        by=str(row.get("source") or "model"),
    )


def story_of_episode(
    path: Path, episode_id: str | None, task: TaskFile | None, camera: str | None = None
) -> Story:
    """An episode of a dataset: its signals and labels, and what signals say about a task's events.

    Args:
        path: of the dataset.
        episode_id: None: its first.
        task: None: its labels alone.
        camera: None: the first that does not move with a hand.

    Raises UserError.
    """
    dataset = open_any(path)
    ids = present_ids(dataset)
    name = episode_id if episode_id is not None else next(iter(ids), "")
    if name not in ids:
        raise UserError(f"{path}: has no episode {name!r}; it has {', '.join(ids[:5])}, …")
    episode = dataset.episode(name)
    query = task.events if task else ()
    grippers = look_for_grippers(dataset, query)
    names, events, curves = _labelled(episode)
    if task is not None:
        names, (events, curves) = query, _placed(dataset, name, task, grippers)
    return Story(
        title=name,
        about=f"{task.name + ', ' if task else ''}{path.name} ({dataset.format})",
        times_s=np.asarray(episode.times_s),
        events=events,
        names=names,
        traces=traces_of(episode, grippers),
        curves=curves,
        picture=_picture_in(dataset, episode, camera),
        notes=episode.notes,
    )


def _labelled(episode: Episode) -> tuple[tuple[str, ...], tuple[Span | None, ...], Curves]:
    starts = starts_s(episode.events)
    spans = tuple(
        Span(name=event.name, start_s=start_s, end_s=event.end_s, by="label")
        for event, start_s in zip(episode.events, starts, strict=True)
    )
    return tuple(span.name for span in spans), spans, {}


def _placed(
    dataset: Dataset, name: str, task: TaskFile, grippers: Sequence[Gripper]
) -> tuple[tuple[Span | None, ...], Curves]:
    query = task.events
    plan = signal_plan(dataset, query, signals=task.signals, offsets=task.offsets, arms=task.arms)
    row = episode_row(dataset, name, query, plan, grippers)
    if row["problem"] is not None:
        raise UnreadableEpisode(str(row["problem"]))
    times_s = np.asarray(row["times_s"], np.float64)
    said = evidence_of(query, row, None, (), times_s)
    curves: Curves = {
        f"end {place}": {one.source: one.probabilities_T for one in own if one.source != "label"}
        for place, own in enumerate(said, 1)
    }
    arms = task.arms or ("",) * len(query)
    done_s = dict.fromkeys(arms, 0.0)
    events: list[Span | None] = []
    for arm, found in zip(arms, combine(query, times_s, said, default_pool(), arms), strict=True):
        if found.end_s is None:
            events.append(None)
            continue
        span = Span(
            name=found.event,
            start_s=done_s[arm],
            end_s=found.end_s,
            confidence=found.confidence,
            interval_s=found.interval_s,
            by=str(found.source),
        )
        events.append(span)
        done_s[arm] = span.end_s
    return tuple(events), curves


def _picture_in(
    dataset: Dataset, episode: Episode, camera: str | None
) -> Callable[[int], Pixels] | None:
    row = {
        "clip": episode.id,
        "videos": {
            name: [str(span.path), span.start_s, span.end_s]
            for name, span in episode.videos.items()
        },
        "cameras_in_file": list(episode.cameras_in_file),
    }
    view = view_of(row, camera)
    if view is None:
        return None
    cinema = Cinema()
    if view.span is None:
        album = Album(episode=episode.id, camera=view.camera)
        return lambda frame: _pixels(cinema.picture_of_album(dataset, album, frame))
    film = cinema.film(view.span, np.asarray(episode.times_s))
    return lambda frame: _pixels(cinema.picture_of_film(film, frame))


def traces_of(episode: Episode, grippers: Sequence[Gripper]) -> tuple[Trace, ...]:
    """How far hands are shut, how fast arms move, how far hands are from objects.

    Empty where the episode records nothing of it. Raises UnreadableEpisode.
    """
    if not episode.channels:
        return ()
    table = table_of(episode)
    found: list[Trace] = []
    shut = [
        (gripper.arm or gripper.title, values_T)
        for gripper in grippers
        if (values_T := gripper.closedness(table)) is not None
    ]
    if shut:
        found.append(Trace(name="hand", unit="0 open, 1 shut", lines=tuple(shut)))
    hands = [places_of(table, gripper) for gripper in grippers] or [[]]
    arms = [gripper.arm for gripper in grippers] or [None]
    widths = dict(grippers[0].widths) if grippers else {}
    if len(table.times_s) >= 5:
        speeds = arm_speeds(table, hands, arms, widths)
        named = [(arm or "arm", speed_T) for arm, speed_T in zip(arms, speeds, strict=True)]
        found.append(Trace(name="speed", unit="1: brisk", lines=tuple(named)))
    far = _distances(table)
    if far:
        found.append(Trace(name="hand to object", unit="m", lines=far))
    return tuple(found)


def _distances(table: Table) -> tuple[tuple[str, Floats], ...]:
    """From the nearest hand to each of the objects to which one comes nearest."""
    if not table.hands_T3:
        return ()
    found = []
    for name, object_T3 in table.objects_T3:
        away = [np.linalg.norm(hand_T3 - object_T3, axis=1) for _, hand_T3 in table.hands_T3]
        found.append((name, np.min(away, axis=0)))
    return tuple(sorted(found, key=lambda one: float(one[1].min()))[:MOST_OBJECTS])
