"""How far fingers stay away from what they are told: what is between them keeps them apart. Pure."""

import numpy as np

from kairoscope.robot.column_groups import Group
from kairoscope.robot.columns import Floats, Table, smoothed
from kairoscope.robot.unit import Unit

DELAY_S, MOST_DELAYS = 0.6, 15
"""Fingers answer within this time; so many delays up to it are tried."""


def command_gap(table: Table, unit: Unit) -> tuple[Floats | None, float]:
    """((T,) command minus answer of columns in one scale, how well the answer follows).

    The gap is in ranges of the answer, the mean of the columns: positive where the signal of the
    unit is told to be higher than it is. The answer's usual delay, found by trying, does not
    count. How well: correlation of the speeds. (None, 0) where nothing can be compared.
    """
    measured, commanded = unit.measured, unit.commanded
    if measured is None or commanded is None:
        return None, 0.0
    gaps, follows = [], []
    for i, column in enumerate(measured.columns):
        k = _same_column(column.index, measured, commanded)
        if k is None or not _same_scale(measured, i, commanded, k):
            continue
        width = measured.high[i] - measured.low[i]
        done = table.values_TK[:, table.places[column]] / width
        told = table.values_TK[:, table.places[commanded.columns[k]]] / width
        delayed = _delayed(told, done, table.step_s)
        gaps.append(measured.signs[i] * (delayed - done))
        follows.append(_speeds_alike(delayed, done, table.step_s))
    return (np.mean(gaps, axis=0), float(np.mean(follows))) if gaps else (None, 0.0)


def _same_column(index: int, measured: Group, commanded: Group) -> int | None:
    """Place in the command's group of the column that a measured column answers."""
    indices = [column.index for column in commanded.columns]
    if index in indices:
        return indices.index(index)
    return 0 if len(measured.columns) == len(indices) == 1 else None


def _same_scale(measured: Group, i: int, commanded: Group, k: int) -> bool:
    """Whether two columns are in one unit: their ranges overlap and are alike in size."""
    low, high = measured.low[i], measured.high[i]
    told_low, told_high = commanded.low[k], commanded.high[k]
    overlap = min(high, told_high) - max(low, told_low)
    return overlap >= 0.5 * (high - low) and 0.5 < (told_high - told_low) / (high - low) < 2.0


def _delayed(told_T: Floats, done_T: Floats, step_s: float) -> Floats:
    """The command with the delay (up to 0.6 s) at which it differs least from its answer."""
    best: tuple[float, int] | None = None
    longest = min(round(DELAY_S / step_s), len(told_T) - 1)
    for lag in range(0, longest + 1, max(1, longest // MOST_DELAYS)):
        gap = told_T[: len(told_T) - lag] - done_T[lag:]
        size = float(np.abs(gap - gap.mean()).mean())
        if best is None or size < best[0]:
            best = (size, lag)
    assert best is not None
    lag = best[1]
    return np.concatenate((np.full(lag, told_T[0]), told_T[: len(told_T) - lag]))


def _speeds_alike(one_T: Floats, other_T: Floats, step_s: float) -> float:
    """Correlation of two speeds over 0.3 s; 0 where one stands still."""
    both = np.diff(smoothed(np.stack([one_T, other_T], axis=1), 0.3 / step_s), axis=0)
    if np.std(both[:, 0]) <= 0 or np.std(both[:, 1]) <= 0:
        return 0.0
    return float(np.corrcoef(both[:, 0], both[:, 1])[0, 1])
