"""How fast the arms move, whatever says so: poses of their ends, or their joints. Pure.

Speeds are in shares of a brisk pace of the episode, so that units do not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kairoscope.robot.columns import Column, Floats, Table, frame_step_s, smoothed

SMOOTHING_S = 0.2
STILL = 0.15
"""Of a brisk pace."""
STANDS = 0.35
"""Of a brisk pace: an arm that is slower stands nearly still."""
IDLE_SHARE = 0.5
"""Of the other arm's brisk pace: an arm that is slower at its best only idles."""
MOST_CROSSINGS = 4.0
"""How often an arm's joint covers its range in an episode, at most; see `_weights`."""


Widths = Mapping[Column, float]
"""Column -> how far it goes in a dataset."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the parts of a robot add to the speed of the whole."""

    squares_TK: Floats
    """(T, K) square of the speed of each part: an arm's end, or a column in ranges a second."""
    places: tuple[int | None, ...]
    """Place of the column in the table; None for the pose of an arm's end."""


def parts_of(table: Table, widths: Widths | None = None) -> Parts:
    """The arms' ends where they are recorded, otherwise every column that may be of an arm.

    Measured columns, or commanded ones where nothing is measured.

    Args:
        table: of an episode.
        widths: how far columns go in the dataset, so that an arm that idles in this episode does
            not seem busy; None where only this episode is known.
    """
    if table.hands_T3:
        speeds = [speed_of(hand, table.times_s) for _, hand in table.hands_T3]
        return Parts(np.stack(speeds, axis=1) ** 2, (None,) * len(speeds))
    places = _places(table)
    if not places or len(table.times_s) < 2:
        return Parts(np.zeros((len(table.times_s), 0)), ())
    steady = smoothed(table.values_TK[:, places], SMOOTHING_S / table.step_s)
    known = widths or {}
    wide = [max(table.ranges_K[k], known.get(table.columns[k], 0.0)) for k in places]
    velocity = np.gradient(steady, table.times_s, axis=0) / np.array(wide)
    return Parts(np.asarray(velocity**2 * _weights(table, places)), tuple(places))


def speed_without(parts: Parts, own: Iterable[int] = ()) -> Floats:
    """(T,) how fast everything but some columns moves, 1 at a brisk pace of the episode."""
    left_out = set(own)
    kept = [k for k, place in enumerate(parts.places) if place is None or place not in left_out]
    return paced(np.sqrt(parts.squares_TK[:, kept].sum(axis=1)))


def arm_speeds(
    table: Table,
    hands: Sequence[Sequence[int]],
    names: Sequence[str | None],
    widths: Widths | None = None,
) -> list[Floats]:
    """(T,) for each hand, how fast the arm moves that carries it, 1 at a brisk pace of its own.

    Of two hands the file may name the arms; otherwise the first arm's columns, or pose, are taken
    to come first. With any other number of hands every arm counts for each.

    Args:
        table: of an episode.
        hands: places of the columns of each hand.
        names: `left`, `right` or None, for each hand.
        widths: see `parts_of`.
    """
    parts = parts_of(table, widths)
    own = {place for hand in hands for place in hand}
    if len(hands) != 2:
        return [speed_without(parts, own) for _ in hands]
    first = min(range(2), key=lambda k: min(hands[k], default=0))
    if table.hands_T3:
        sides = _posed_sides(table, names, first)
    else:
        sides = _column_sides(table, parts, own, first)
    speeds = [np.sqrt(parts.squares_TK[:, side].sum(axis=1)) for side in sides]
    least = IDLE_SHARE * max(brisk_of(speed) for speed in speeds)
    return [
        paced(speed, least) if side else speed_without(parts, own)
        for side, speed in zip(sides, speeds, strict=True)
    ]


def _posed_sides(table: Table, names: Sequence[str | None], first: int) -> list[list[int]]:
    """Which recorded poses belong to each of two hands."""
    sides: list[list[int]] = []
    for k, name in enumerate(names):
        posed = [where for where, _ in table.hands_T3]
        named = [i for i, title in enumerate(posed) if name and name in title.lower()]
        ordered = [0 if k == first else 1] if len(posed) == 2 else list(range(len(posed)))
        sides.append(named or ordered)
    return sides


def _column_sides(table: Table, parts: Parts, own: set[int], first: int) -> list[list[int]]:
    """The first half of every channel's other columns for one hand, the second for the other."""
    halves: list[list[int]] = [[], []]
    kept = [(k, p) for k, p in enumerate(parts.places) if p is not None and p not in own]
    for name in {table.columns[place].channel for _, place in kept}:
        columns = [i for i in table.channel(name) if i not in own]
        middle = columns[(len(columns) + 1) // 2 - 1]
        for k, place in kept:
            if table.columns[place].channel == name:
                halves[0 if place <= middle else 1].append(k)
    return halves if first == 0 else halves[::-1]


def _places(table: Table) -> list[int]:
    for commanded in (False, True):
        places = [
            place
            for place, kind in enumerate(table.kinds)
            if kind in ("state", "action")
            and table.commanded[place] is commanded
            and table.ranges_K[place] > 0
        ]
        if places:
            return places
    return []


def _weights(table: Table, places: Sequence[int]) -> Floats:
    """How much each column counts: 1, or less for one that trembles instead of going anywhere.

    A joint goes to and fro a few times in an episode. One that idles covers its small range again
    and again; what it reads in its own range says nothing about the arm. Sizes are not compared:
    a vector may hold radians, metres and counts side by side.
    """
    steady = smoothed(table.values_TK[:, list(places)], SMOOTHING_S / table.step_s)
    crossings = np.abs(np.diff(steady, axis=0)).sum(axis=0) / table.ranges_K[list(places)]
    return np.asarray(np.minimum(1.0, MOST_CROSSINGS / np.maximum(crossings, 1e-9)) ** 2)


def speed_of(position_TD: Floats, times_s: Floats) -> Floats:
    """(T,) speed of a point, from positions averaged over 0.2 s, in their unit per s."""
    if len(times_s) < 2:
        return np.zeros(len(times_s))
    steady = smoothed(position_TD, SMOOTHING_S / frame_step_s(times_s))
    return np.asarray(np.linalg.norm(np.gradient(steady, times_s, axis=0), axis=1))


def paced(speed_T: Floats, least: float = 0.0) -> Floats:
    """A speed in shares of a brisk one, or of `least` if that is more; zeros if nothing moves."""
    brisk = max(brisk_of(speed_T), least)
    return speed_T / brisk if brisk > 0 else np.zeros_like(speed_T)


def way_of(speed_T: Floats, times_s: Floats) -> Floats:
    """(T,) way of an arm since the first frame, from its speed in shares of a brisk one, in s.

    What is slower than `STILL` is trembling and leads nowhere.
    """
    moving = np.where(speed_T > STILL, speed_T, 0.0)
    return np.concatenate(([0.0], np.cumsum(moving[1:] * np.diff(times_s))))


def brisk_of(speed_T: Floats) -> float:
    """The 80th percentile of a speed, or a tenth of its peak where it seldom moves."""
    if not len(speed_T):
        return 0.0
    return max(float(np.quantile(speed_T, 0.8)), 0.1 * float(speed_T.max()))
