"""Which of the columns that look like hands are taken for hands, and which record one twice. Pure."""

from collections.abc import Sequence
from itertools import combinations, permutations

import numpy as np

from kairoscope.robot.column_groups import Group
from kairoscope.robot.columns import Table
from kairoscope.robot.gripper import Reason, arm_in
from kairoscope.robot.unit import Unit, is_named_gripper, words_of

LEAST_SCORE = 0.0
"""Log-odds from which on columns count as a gripper."""
FAR_BEHIND = 4.0
"""Log-odds by which a second hand may be behind the first that looks like its twin."""
BEHIND = 1.0
"""The same of one that does not."""
ALIKE_RANGE, ALIKE_END = 2.0, 0.15
"""Two hands move by the same, up to this factor, from ends that are this near, in ranges."""
SAME_ENDS = 0.1
"""Of the range: joints of two arms hardly ever turn between the same two values, hands do."""
TWIN = Reason(log_odds=1.5, text="a column in the other arm's place has the very same range")
SAME_SIGNAL = 0.95
"""Correlation from which on columns of two channels record one and the same hand."""
OTHER_HAND = Reason(log_odds=1.5, text="it stands where the other arm's hand stands")
IDLE_HAND = 0.3
"""Of what the other hand moves."""
IDLE = Reason(log_odds=-9.0, text="it hardly moves compared with the other hand")


def choose(
    tables: Sequence[Table],
    units: Sequence[Unit],
    reasons: dict[int, tuple[Reason, ...]],
) -> list[int]:
    """Places of the units that are grippers, likeliest first. Adds to `reasons`."""
    for k, other in _twins(tables, units, sorted(reasons)):
        reasons[k], reasons[other] = (*reasons[k], TWIN), (*reasons[other], TWIN)
    _mark_idle(tables, units, reasons)
    scores = {k: sum(reason.log_odds for reason in own) for k, own in reasons.items()}
    order = sorted(scores, key=lambda k: (-scores[k], k))
    chosen: list[int] = []
    for k in order:
        score = scores[k]
        like_first = bool(chosen) and _is_its_twin(tables, units[chosen[0]], units[k])
        if like_first:
            reasons[k] = (*reasons[k], OTHER_HAND)
            score += OTHER_HAND.log_odds
        if score <= LEAST_SCORE:
            continue
        if chosen and score < scores[chosen[0]] - (FAR_BEHIND if like_first else BEHIND):
            continue
        if any(_is_same_hand(tables, units[other], units[k]) for other in chosen):
            continue
        chosen.append(k)
    return chosen


def _twins(
    tables: Sequence[Table], units: Sequence[Unit], places: Sequence[int]
) -> list[tuple[int, int]]:
    """Pairs of units at the same place of the two halves of a channel, with the very same ends."""
    pairs = []
    for k, other in combinations(places, 2):
        a, b = units[k].main, units[other].main
        if not _mirrors(tables, a, b):
            continue
        wide = np.array(a.high) - np.array(a.low)
        apart = [np.abs(np.array(a.low) - b.low), np.abs(np.array(a.high) - b.high)]
        if np.max(apart / wide) <= SAME_ENDS:
            pairs.append((k, other))
    return pairs


def _mark_idle(
    tables: Sequence[Table], units: Sequence[Unit], reasons: dict[int, tuple[Reason, ...]]
) -> None:
    """Of two hands that the format names, one may hang about and only tremble."""
    named = [k for k in reasons if is_named_gripper(tables, units[k])]
    for k, other in permutations(named, 2):
        sides = [arm_in(words_of(tables, units[i])) for i in (k, other)]
        names = [units[i].main.columns[0].channel for i in (k, other)]
        sizes = [len(tables[0].channel(name)) for name in names]
        if sides[0] == sides[1] or sizes[0] != sizes[1]:
            continue
        moved = [_moved(units, name) for name in names]
        if moved[0] < IDLE_HAND * moved[1] and IDLE not in reasons[k]:
            reasons[k] = (*reasons[k], IDLE)


def _moved(units: Sequence[Unit], channel: str) -> float:
    """How far the columns of a channel move, all together."""
    parts = {part for unit in units for part in (unit.measured, unit.commanded) if part is not None}
    own = [part for part in parts if part.columns[0].channel == channel]
    return float(sum(np.sum(np.array(part.high) - np.array(part.low)) for part in own))


def _mirrors(tables: Sequence[Table], first: Group, second: Group) -> bool:
    """Whether two groups stand at the same place of the two halves of a channel."""
    channel = first.columns[0].channel
    if second.columns[0].channel != channel or len(first.columns) != len(second.columns):
        return False
    wide = 1 + max(c.index for c in tables[0].columns if c.channel == channel)
    apart = abs(first.columns[-1].index - second.columns[-1].index)
    return apart in (wide // 2, len(first.columns))


def _is_its_twin(tables: Sequence[Table], one: Unit, another: Unit) -> bool:
    """Whether two units could be the two hands of one robot.

    Named so by the format; or built alike, in each other's place (or in channels of their own),
    and alike when open: what they hold may keep them apart when shut.
    """
    sides = {arm_in(words_of(tables, unit)) for unit in (one, another)}
    if sides == {"left", "right"} and all(is_named_gripper(tables, u) for u in (one, another)):
        return True
    first, second = one.main, another.main
    if len(first.columns) != len(second.columns):
        return False
    ends = np.array([(np.mean(g.low), np.mean(g.high)) for g in (first, second)])
    widths = ends[:, 1] - ends[:, 0]
    apart = np.abs(ends[0] - ends[1]) / widths.max()
    same_channel = first.columns[0].channel == second.columns[0].channel
    if same_channel and not _mirrors(tables, first, second):
        return bool(apart.max() <= SAME_ENDS)
    return bool(apart.min() <= ALIKE_END and widths.max() <= ALIKE_RANGE * widths.min())


def _is_same_hand(tables: Sequence[Table], first: Unit, second: Unit) -> bool:
    """Whether two units record one hand: in two channels, or as commands side by side."""
    sides = [arm_in(words_of(tables, unit)) for unit in (first, second)]
    if None not in sides:
        named = all(is_named_gripper(tables, unit) for unit in (first, second))
        if sides[0] != sides[1] or named:
            return sides[0] == sides[1]
    groups = [group for group in (first.measured, first.commanded) if group is not None]
    return any(_alike_everywhere(tables, group, second.main) for group in groups)


def _alike_everywhere(tables: Sequence[Table], first: Group, second: Group) -> bool:
    a, b = first.columns, second.columns
    near = min(abs(x.index - y.index) for x in a for y in b) <= 2
    if a[0].channel == b[0].channel and not near:
        return False
    likeness = []
    for table in tables:
        one, other = first.signal(table), second.signal(table)
        if one is not None and other is not None and one.std() > 0 and other.std() > 0:
            likeness.append(abs(float(np.corrcoef(one, other)[0, 1])))
    return bool(likeness) and float(np.mean(likeness)) >= SAME_SIGNAL
