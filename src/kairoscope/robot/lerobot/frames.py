"""The frames of an episode as arrays: their times, and every signal as channels."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kairoscope.robot.episode import Channel, UnreadableEpisode
from kairoscope.robot.lerobot.info import Feature
from kairoscope.robot.lerobot.parts import Range, split_feature
from kairoscope.robot.lerobot.rows import LANGUAGE, values

BOOKKEEPING = frozenset(
    {"timestamp", "frame_index", "episode_index", "index", "task_index", "subtask_index", *LANGUAGE}
)
"""Columns that are no signal. `annotation.*`, which hold indices of texts, are none either."""


def edges(
    table: pa.Table, fps: float, where: str, *, by_number: bool = False
) -> tuple[NDArray[np.float64], list[str]]:
    """(T + 1,) times in s of the frames, from the first one on, and the end of the last; and notes.

    Args:
        table: the frames.
        fps: frames a second.
        where: of the messages.
        by_number: count frames at `fps`, whatever their timestamps are.

    Raises UnreadableEpisode for times that are not numbers or do not ascend.
    """
    notes: list[str] = []
    if by_number:
        return np.arange(table.num_rows + 1) / fps, []
    if "timestamp" in table.column_names:
        found = values(table, "timestamp")
        if isinstance(found, str):
            raise UnreadableEpisode(f"{where}: timestamp {found}")
        times_s = found[:, 0]
    else:
        notes.append("has no timestamps: frames are taken to follow each other evenly")
        times_s = np.arange(table.num_rows) / fps
    bad = np.flatnonzero(~np.isfinite(times_s))
    if len(bad):
        raise UnreadableEpisode(f"{where}: timestamp of row {bad[0]} is {times_s[bad[0]]}")
    back = np.flatnonzero(np.diff(times_s) <= 0)
    if len(back):
        row = int(back[0]) + 1
        raise UnreadableEpisode(
            f"{where}: timestamps do not ascend: row {row} has {times_s[row]:g} s after "
            f"{times_s[row - 1]:g} s"
        )
    if abs(times_s[0]) > 0.5 / fps:
        notes.append(f"the first timestamp is {times_s[0]:.3f} s: times are counted from it")
    return np.append(times_s, times_s[-1] + 1 / fps) - times_s[0], notes


def signals(
    table: pa.Table, features: Mapping[str, Feature], ranges: Mapping[str, Sequence[Range]]
) -> tuple[tuple[Channel, ...], list[str]]:
    """Every signal of an episode, and notes on what is left out.

    Args:
        table: the frames.
        features: of info.json, for names and units.
        ranges: of modality.json, by feature.
    """
    channels: list[Channel] = []
    notes: list[str] = []
    for name in table.column_names:
        if name in BOOKKEEPING or name.startswith("annotation."):
            continue
        found = values(table, name)
        if isinstance(found, str):
            notes.append(f"{name} left out: it {found}")
            continue
        bad = int((~np.isfinite(found).all(axis=1)).sum())
        if bad:
            notes.append(f"{name} left out: {bad} of {len(found)} rows are not finite")
            continue
        channels += _parts(name, found, features.get(name), ranges.get(name, ()))
    if not any(channel.kind == "gripper" for channel in channels):
        notes.append("no channel is known to be a gripper")
    return tuple(channels), notes


def _parts(
    name: str, values_TD: NDArray[np.float64], feature: Feature | None, ranges: Sequence[Range]
) -> list[Channel]:
    columns = feature.columns if feature else ()
    return [
        Channel(
            name=part.name,
            kind=part.kind,
            values_TD=values_TD[:, part.places],
            columns=part.columns,
            unit=feature.unit if feature else None,
            subject=part.subject,
        )
        for part in split_feature(name, values_TD.shape[1], columns, ranges)
    ]
