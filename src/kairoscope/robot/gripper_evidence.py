"""What speaks for a group of columns being a gripper, as log-odds. Pure.

No piece of evidence knows a robot, a unit or a scale. Weights are the same for every dataset;
they were set by judgement, looked at on synthetic robots and a handful of real ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kairoscope.robot.arm_speed import Widths, parts_of, speed_of, speed_without
from kairoscope.robot.columns import Floats, Table, frame_step_s, smoothed
from kairoscope.robot.command_gap import command_gap
from kairoscope.robot.holds import holds_of
from kairoscope.robot.motions import Motion, motions_in
from kairoscope.robot.unit import Unit

MOVES = 0.1
"""Of the greatest speed of any object in the episode: what is slower stands still."""
MOST_FOR_CUT, MOST_FOR_WHOLE = 1.0, 5.0
"""Log-odds that one hold adds at most, where the recording ends in it and where not."""
REAL_SHARE = 0.7
"""Of the times at which a hand closes, it takes something about this often."""
LEAST_LIVE = 0.3
"""Of the range in the dataset: what moves less in an episode is not used in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one unit does in one episode in which it moves."""

    times_s: Floats
    signal_T: Floats
    body_T: Floats
    motions: tuple[Motion, ...]
    gap_T: Floats | None
    """Command minus answer, in ranges; None where one is not recorded or scales differ."""
    obeys: float
    """Correlation of the speeds of answer and delayed command, -1 to 1; 0 where it is not known."""
    aimless: float
    """Share of the way of the signal that is no part of a motion."""
    moved_T: Floats | None
    """1 where an object moves, 0 where none does; None where no object is recorded."""
    resting: float
    """Share of the frames at which it rests."""
    with_body: float
    """Mean speed of the rest of the robot while it moves; 1 where it moves at any time alike."""
    in_step: float
    """Correlation of its speed with the body's, -1 to 1."""
    two_valued: bool
    """Whether its command, or itself, knows two values only."""


def looks_of(table: Table, units: Sequence[Unit], widths: Widths) -> list[Look | None]:
    """What every unit does in one episode; None where it does not move or is not recorded."""
    if len(table.times_s) < 5:
        return [None] * len(units)
    parts = parts_of(table, widths)
    looks: list[Look | None] = []
    for unit in units:
        signal = unit.main.signal(table)
        if signal is None or np.ptp(np.quantile(signal, (0.01, 0.99))) < LEAST_LIVE:
            looks.append(None)
            continue
        own = {table.places[column] for column in unit.columns if column in table.places}
        body = speed_without(parts, own)
        looks.append(_look(table, unit, signal, body))
    return looks


def _look(table: Table, unit: Unit, signal: Floats, body: Floats) -> Look:
    told = signal if unit.commanded is None else unit.commanded.signal(table)
    two_valued = told is not None and is_two_valued(told)
    gap, obeys = (None, 0.0) if two_valued else command_gap(table, unit)
    motions = motions_in(signal, table.times_s)
    slow = smoothed(signal, 0.4 / table.step_s)
    way = float(np.abs(np.diff(slow)).sum())
    led = sum(abs(float(slow[m.end] - slow[m.start])) for m in motions)
    return Look(
        times_s=table.times_s,
        signal_T=signal,
        body_T=body,
        motions=motions,
        gap_T=gap,
        obeys=obeys,
        aimless=1.0 - min(1.0, led / way) if way > 0 else 1.0,
        moved_T=objects_move(table),
        resting=1.0 - sum(m.end - m.start for m in motions) / len(signal),
        with_body=_with_body(motions, body),
        in_step=_in_step(signal, body, table),
        two_valued=two_valued,
    )


def _with_body(motions: Sequence[Motion], body_T: Floats) -> float:
    """Mean speed of the body during motions, by their travel; 1 is its mean at any time."""
    mean = float(body_T.mean())
    travel = sum(abs(motion.travel) for motion in motions)
    if mean <= 0 or travel <= 0:
        return 1.0
    speeds = (abs(m.travel) * float(body_T[m.start : m.end + 1].mean()) for m in motions)
    return sum(speeds) / travel / mean


def _in_step(signal_T: Floats, body_T: Floats, table: Table) -> float:
    """Correlation of the speed of a signal with the speed of the body; 0 where one stands still."""
    steady = smoothed(signal_T, 0.3 / table.step_s)
    speed = np.abs(np.gradient(steady, table.times_s))
    if speed.std() <= 0 or body_T.std() <= 0:
        return 0.0
    return float(np.corrcoef(speed, body_T)[0, 1])


def objects_move(table: Table) -> Floats | None:
    """(T,) 1 where an object moves, 0 where none does; None where no object is recorded."""
    if not table.objects_T3:
        return None
    speed = np.max([speed_of(where, table.times_s) for _, where in table.objects_T3], axis=0)
    return np.asarray(speed > MOVES * speed.max(), dtype=np.float64)


def is_two_valued(signal_T: Floats) -> bool:
    """Whether nearly all values lie at one of two levels, both of which occur for a while."""
    low, high = float(signal_T.min()), float(signal_T.max())
    if high - low <= 0:
        return False
    shares = (signal_T - low) / (high - low)
    at_low, at_high = float((shares < 0.02).mean()), float((shares > 0.98).mean())
    return at_low + at_high >= 0.97 and min(at_low, at_high) >= 0.02


def gap_spread(look: Look) -> float | None:
    """How differently command and answer stand apart, in ranges; None where it is not known.

    A joint of an arm reaches what it is told, or misses it by the same little. Fingers that hold
    something miss it by the size of the thing.
    """
    if look.gap_T is None:
        return None
    steady = smoothed(look.gap_T, 0.5 / frame_step_s(look.times_s))
    return float(np.quantile(steady, 0.95) - np.quantile(steady, 0.05))


def holding(look: Look, *, upwards: bool) -> float:
    """How well an episode is explained if the signal rises when the hand closes, as log-odds.

    Every hold may be a real one or a mistake; real ones are usual, mistakes tell nothing. One that
    lasts until the end of the recording may as well be the hand's way home.
    """
    motions = look.motions if upwards else tuple(_mirrored(m) for m in look.motions)
    total = 0.0
    for hold in holds_of(motions, look.times_s, look.body_T):
        if hold.closing is not None:
            most = MOST_FOR_CUT if hold.opening is None else MOST_FOR_WHOLE
            odds = math.exp(min(hold.log_odds, most))
            total += math.log(REAL_SHARE * odds + 1.0 - REAL_SHARE)
    return total


def _mirrored(motion: Motion) -> Motion:
    return replace(
        motion, travel=-motion.travel, before=1.0 - motion.before, after=1.0 - motion.after
    )
