"""When recorded objects move, and how far. Pure."""

from dataclasses import dataclass

import numpy as np

from kairoscope.robot.arm_speed import speed_of
from kairoscope.robot.columns import Floats, Table

MOVES_SHARE = 0.05
"""Of a brisk speed of the hand (or the objects): what is slower stands still."""
SETTLED_SHARE = 0.95
BOUT_PAUSE_S = 0.3
LEAST_WAY = 0.03
"""Of the size of the room in which hands and objects move: less is jitter."""


@dataclass(frozen=True, slots=True)
class Bout:
    """An object on its way."""

    name: str
    start: int
    """Last frame at rest."""
    end: int
    """First frame at rest again."""
    settled: int
    """First frame at which nearly all of its way is behind it."""
    heading: tuple[float, float, float]
    """From where it stood to where it stands, in the unit of the file."""
    share: float
    """Of the way of all objects in the episode."""


def bouts_of(table: Table) -> tuple[Bout, ...]:
    """Every stretch in which an object moves, in order of objects and time."""
    if not table.objects_T3:
        return ()
    speeds = [speed_of(where, table.times_s) for _, where in table.objects_T3]
    slowest = MOVES_SHARE * _brisk(table, speeds)
    least = LEAST_WAY * _room(table)
    if slowest <= 0 or least <= 0:
        return ()
    found: list[tuple[str, int, int, int, tuple[float, float, float], float]] = []
    for (name, where), speed in zip(table.objects_T3, speeds, strict=True):
        steps = np.linalg.norm(np.diff(where, axis=0), axis=1)
        for start, end in _stretches(speed > slowest, table.times_s):
            way = float(steps[start:end].sum())
            if way >= least:
                gone = np.cumsum(steps[start:end])
                settled = start + 1 + int(np.argmax(gone >= SETTLED_SHARE * way))
                x, y, z = (where[end] - where[start]).tolist()
                found.append((name, start, end, settled, (x, y, z), way))
    total = sum(way for *_, way in found)
    return tuple(
        Bout(name, start, end, settled, heading, way / total)
        for name, start, end, settled, heading, way in found
    )


def moved_in(table: Table, first: int, last: int) -> str | None:
    """The object with the longest way between two frames; None where none moves noticeably."""
    best: tuple[float, str] | None = None
    for name, where in table.objects_T3:
        way = float(np.linalg.norm(np.diff(where[first : last + 1], axis=0), axis=1).sum())
        if best is None or way > best[0]:
            best = (way, name)
    return best[1] if best is not None and best[0] >= LEAST_WAY * _room(table) else None


def _brisk(table: Table, speeds: list[Floats]) -> float:
    """A brisk speed: of the hands where they are recorded, else of the objects."""
    hands = [speed_of(where, table.times_s) for _, where in table.hands_T3]
    return max(float(np.quantile(speed, 0.95)) for speed in hands or speeds)


def _room(table: Table) -> float:
    """Diagonal of the box in which the hands move, or the objects where no hand is recorded."""
    own = table.hands_T3 or table.objects_T3
    return max(float(np.linalg.norm(np.ptp(where, axis=0))) for _, where in own)


def _stretches(
    moving: "np.ndarray[tuple[int], np.dtype[np.bool_]]", times_s: Floats
) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], moving.astype(np.int8), [0]))))
    joined: list[tuple[int, int]] = []
    for start, end in zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True):
        if joined and times_s[start] - times_s[joined[-1][1]] <= BOUT_PAUSE_S:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
