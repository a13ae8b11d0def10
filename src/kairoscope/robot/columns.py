"""The columns of an episode's channels as one table, and what moves in it. Pure."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kairoscope.robot.episode import Channel, Episode, Kind, UnreadableEpisode

Floats = NDArray[np.float64]

SIGNAL_KINDS: tuple[Kind, ...] = ("gripper", "state", "action", "other")
"""Kinds in which a gripper may be."""
COMMAND_WORDS = ("action", "command", "cmd", "target", "desired", "goal", "leader", "control")
MOTION_SMOOTHING_S = 0.1
MOST_MISSING = 0.5
"""Columns with more than this share of their values not finite are left out."""


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """Which number of which channel."""

    channel: str
    index: int


@dataclass(frozen=True, kw_only=True)
class Table:
    """The columns of one episode side by side."""

    times_s: Floats
    """(T,), ascending."""
    values_TK: Floats
    """(T, K), without gaps."""
    columns: tuple[Column, ...]
    kinds: tuple[Kind, ...]
    commanded: tuple[bool, ...]
    """Whether a column is what the robot was told, rather than what was measured."""
    words: tuple[str, ...]
    """Everything that the file says about a column: channel, subject and column name."""
    hands_T3: tuple[tuple[str, Floats], ...]
    """(what the file calls it, (T, 3) positions) of every end effector, as recorded."""
    objects_T3: tuple[tuple[str, Floats], ...]
    """The same of every object."""

    @property
    def step_s(self) -> float:
        """Mean time between two frames, in s."""
        return frame_step_s(self.times_s)

    @cached_property
    def places(self) -> dict[Column, int]:
        """Column -> its place in `values_TK`."""
        return {column: place for place, column in enumerate(self.columns)}

    @cached_property
    def smooth_TK(self) -> Floats:
        """(T, K) values, averaged over 0.1 s."""
        return smoothed(self.values_TK, MOTION_SMOOTHING_S / self.step_s)

    @cached_property
    def ranges_K(self) -> Floats:
        """(K,) distance from the 1st to the 99th percentile of each column."""
        if not self.columns:
            return np.zeros(0)
        low, high = np.quantile(self.values_TK, (0.01, 0.99), axis=0)
        return np.asarray(high - low)

    def channel(self, name: str) -> list[int]:
        """Places of the columns of one channel."""
        return [place for place, column in enumerate(self.columns) if column.channel == name]


def frame_step_s(times_s: Floats) -> float:
    """Mean time between two frames, in s. 1 where there are less than two."""
    if len(times_s) < 2:
        return 1.0
    return max(float(times_s[-1] - times_s[0]) / (len(times_s) - 1), 1e-6)


def smoothed(values: Floats, width: float) -> Floats:
    """Average over `width` frames (rounded to an odd number) along the first axis, same length."""
    window = 2 * int(width // 2) + 1
    if window < 3 or len(values) < 2:
        return values
    flat = values.reshape(len(values), -1)
    padded = np.pad(flat, ((window // 2, window // 2), (0, 0)), mode="edge")
    sums = np.cumsum(np.vstack([np.zeros((1, flat.shape[1])), padded]), axis=0)
    return np.asarray(((sums[window:] - sums[:-window]) / window).reshape(values.shape))


def gap_free(values_TD: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """(values with gaps filled by straight lines, (D,) which columns are usable at all)."""
    finite = np.isfinite(values_TD)
    if finite.all():
        return values_TD, np.ones(values_TD.shape[1], dtype=bool)
    usable = finite.mean(axis=0) >= MOST_MISSING
    filled = np.where(finite, values_TD, 0.0)
    frames = np.arange(len(values_TD))
    for column in np.flatnonzero(usable & ~finite.all(axis=0)):
        known = finite[:, column]
        filled[:, column] = np.interp(frames, frames[known], values_TD[known, column])
    return filled, usable


def is_command(channel: Channel) -> bool:
    """Whether a channel is what the robot was told, as its kind or name says."""
    if channel.kind == "action":
        return True
    return any(word in channel.name.lower() for word in COMMAND_WORDS)


def table_of(episode: Episode) -> Table:
    """Put the channels of an episode in which a gripper may be side by side.

    Raises UnreadableEpisode where a channel has another number of rows than there are frames, or
    times do not ascend.
    """
    num_frames = len(episode.times_s)
    if not np.all(np.diff(episode.times_s) > 0):
        raise UnreadableEpisode(f"{episode.id}: the times of its frames do not ascend")
    blocks: list[Floats] = [np.zeros((num_frames, 0))]
    columns: list[Column] = []
    kinds: list[Kind] = []
    commanded: list[bool] = []
    words: list[str] = []
    for channel in episode.channels:
        if len(channel.values_TD) != num_frames:
            raise UnreadableEpisode(
                f"{episode.id}: {channel.name} has {len(channel.values_TD)} rows, "
                f"the episode has {num_frames} frames"
            )
        if channel.kind not in SIGNAL_KINDS:
            continue
        filled, usable = gap_free(np.asarray(channel.values_TD, dtype=np.float64))
        blocks.append(filled[:, usable])
        for index in np.flatnonzero(usable):
            name = channel.columns[index] if index < len(channel.columns) else ""
            columns.append(Column(channel.name, int(index)))
            kinds.append(channel.kind)
            commanded.append(is_command(channel))
            words.append(" ".join(filter(None, (channel.subject, channel.name, name))))
    return Table(
        times_s=np.asarray(episode.times_s, dtype=np.float64),
        values_TK=np.hstack(blocks),
        columns=tuple(columns),
        kinds=tuple(kinds),
        commanded=tuple(commanded),
        words=tuple(words),
        hands_T3=tuple(positions_of(episode, "eef_pose")),
        objects_T3=tuple(positions_of(episode, "object_pose")),
    )


def positions_of(episode: Episode, kind: Kind) -> list[tuple[str, Floats]]:
    """(what the file calls it, (T, 3) positions) of every measured pose of one kind.

    Poses are 4 x 4 matrices flattened, position + quaternion, or a position alone.
    """
    found = []
    for channel in episode.channels:
        wide = channel.values_TD.shape[1]
        if channel.kind != kind or wide < 3 or is_command(channel):
            continue
        places = [3, 7, 11] if wide == 16 else [0, 1, 2]
        filled, usable = gap_free(np.asarray(channel.values_TD[:, places], dtype=np.float64))
        if usable.all():
            found.append((channel.subject or channel.name, filled))
    return found
