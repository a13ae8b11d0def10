"""Which columns of a dataset move together: the fingers of one hand, a command and its answer. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kairoscope.robot.columns import Column, Floats, Table, smoothed

TOLD_OR_MEASURED = frozenset(
    [
        "action",
        "actions",
        "command",
        "commands",
        "cmd",
        "target",
        "desired",
        "goal",
        "observation",
        "observations",
        "obs",
        "state",
        "states",
        "qpos",
        "joint",
        "joints",
        "pos",
        "position",
        "positions",
        "leader",
        "follower",
        "measured",
    ]
)
TOGETHER = 0.75
"""Least correlation of the speeds of two fingers of one hand, averaged over episodes."""
FINGER_SMOOTHING_S = 0.4
"""Fingers read in steps and one after the other; over this time they move together."""
NEIGHBOURS = 2
"""Fingers of one hand stand side by side; one that does nothing may stand between them."""
LIVE_SHARE = 0.2
"""A column is alive in an episode in which it covers this share of its range in the dataset."""
DEAD_SHARE = 1e-4
"""A column that moves less than this share of what its channel's columns move is dead. No more:
metres may stand beside degrees."""
ANSWER_S = 0.6
"""A measured column answers its command within this time."""
NAMED_ANSWERS, ANSWERS = 0.4, 0.8
"""Least correlation of a command with its answer: where their places or their kind say that they
belong together, and where nothing does."""


@dataclass(frozen=True, slots=True)
class Group:
    """Columns that move as one."""

    columns: tuple[Column, ...]
    signs: tuple[int, ...]
    """1 where a column goes the way of the first one, -1 where it goes the other way."""
    low: tuple[float, ...]
    high: tuple[float, ...]
    """Least and greatest value of each column in the dataset, outliers apart."""
    commanded: bool

    def signal(self, table: Table) -> Floats | None:
        """(T,) mean of the columns, 0 to 1 over the dataset; None where one is missing."""
        places = [table.places.get(column) for column in self.columns]
        known = [place for place in places if place is not None]
        if len(known) < len(places):
            return None
        low, high = np.array(self.low), np.array(self.high)
        shares = (table.values_TK[:, known] - low) / (high - low)
        return np.asarray(np.where(np.array(self.signs) > 0, shares, 1.0 - shares).mean(axis=1))


def spans_of(tables: Sequence[Table]) -> dict[Column, tuple[float, float]]:
    """Column -> (least, greatest value), from percentiles of episodes, for columns that move.

    Columns of which an episode in ten or more has no values, or that are dead, are left out.
    """
    ends: dict[Column, list[tuple[float, float]]] = {}
    for table in tables:
        if not len(table.times_s):
            continue
        low, high = np.quantile(table.values_TK, (0.01, 0.99), axis=0)
        for place, column in enumerate(table.columns):
            ends.setdefault(column, []).append((float(low[place]), float(high[place])))
    spans = {
        column: (
            float(np.quantile([low for low, _ in pairs], 0.1)),
            float(np.quantile([high for _, high in pairs], 0.9)),
        )
        for column, pairs in ends.items()
        if len(pairs) >= 0.9 * len(tables)
    }
    widths: dict[str, list[float]] = {}
    for column, (low, high) in spans.items():
        widths.setdefault(column.channel, []).append(high - low)
    usual = {
        channel: float(np.quantile([w for w in of if w > 0] or [0.0], 0.75))
        for channel, of in widths.items()
    }
    return {
        column: (low, high)
        for column, (low, high) in spans.items()
        if high > low and high - low >= DEAD_SHARE * usual[column.channel]
    }


def groups_of(
    tables: Sequence[Table], spans: Mapping[Column, tuple[float, float]]
) -> tuple[Group, ...]:
    """Every column that moves, neighbours that move together as one group."""
    alike = together(tables, spans)
    groups: list[Group] = []
    taken: set[Column] = set()
    commanded = {c: table.commanded[i] for table in tables for c, i in table.places.items()}
    for column in sorted(spans):
        if column in taken:
            continue
        members = {column: 1}
        queue = [column]
        while queue:
            one = queue.pop()
            for other, sign in alike.get(one, ()):
                if other not in members:
                    members[other] = members[one] * sign
                    queue.append(other)
        taken |= set(members)
        order = tuple(sorted(members))
        groups.append(
            Group(
                columns=order,
                signs=tuple(members[c] * members[order[0]] for c in order),
                low=tuple(spans[c][0] for c in order),
                high=tuple(spans[c][1] for c in order),
                commanded=commanded[column],
            )
        )
    return tuple(groups)


def together(
    tables: Sequence[Table], spans: Mapping[Column, tuple[float, float]]
) -> dict[Column, list[tuple[Column, int]]]:
    """Column -> (neighbour that moves together with it, same or opposite way).

    A channel of commands and that of their answers, in one order, are looked at together: a
    command that many joints share says that they are fingers, whatever they hold.
    """
    found: dict[tuple[str, int, int, int], list[float]] = {}
    for table in tables:
        widths = widths_of(table)
        for (column, other), shared in _correlations(table, spans).items():
            name = column.channel
            key = (stem_of(name), widths[name], column.index, other.index)
            found.setdefault(key, []).append(shared)
    alike: dict[Column, list[tuple[Column, int]]] = {}
    widths = {name: wide for table in tables for name, wide in widths_of(table).items()}
    for (stem, wide, index, next_index), values in found.items():
        mean = float(np.mean(values))
        if abs(mean) < TOGETHER:
            continue
        for name, width in widths.items():
            if width != wide or stem_of(name) != stem:
                continue
            column, other = Column(name, index), Column(name, next_index)
            if column in spans and other in spans:
                alike.setdefault(column, []).append((other, 1 if mean > 0 else -1))
                alike.setdefault(other, []).append((column, 1 if mean > 0 else -1))
    return alike


def _correlations(
    table: Table, spans: Mapping[Column, tuple[float, float]]
) -> dict[tuple[Column, Column], float]:
    """Correlation of the speeds of every two neighbours that are alive in an episode."""
    places = [
        place
        for place, column in enumerate(table.columns)
        if column in spans and _lives(table, place, spans)
    ]
    if len(table.times_s) < 3 or not places:
        return {}
    width = FINGER_SMOOTHING_S / table.step_s
    velocity = np.gradient(smoothed(table.values_TK[:, places], width), axis=0)
    velocity -= velocity.mean(axis=0)
    size = np.sqrt((velocity**2).sum(axis=0))
    found: dict[tuple[Column, Column], float] = {}
    for a, place in enumerate(places):
        column = table.columns[place]
        for b in range(a + 1, min(a + 1 + NEIGHBOURS, len(places))):
            other = table.columns[places[b]]
            if other.channel == column.channel and other.index - column.index <= NEIGHBOURS:
                product = float(velocity[:, a] @ velocity[:, b])
                found[column, other] = product / float(size[a] * size[b] or 1.0)
    return found


def stem_of(channel: str) -> str:
    """What is left of a channel's name without the words for a command or an answer.

    `observation.state.left_hand` and `action.left_hand` are told and measured of one thing.
    """
    words = re.findall(r"[a-z0-9]+", channel.lower())
    return " ".join(word for word in words if word not in TOLD_OR_MEASURED)


def widths_of(table: Table) -> dict[str, int]:
    """Channel -> number of its columns, as far as they can be used."""
    widths: dict[str, int] = {}
    for column in table.columns:
        widths[column.channel] = max(widths.get(column.channel, 0), column.index + 1)
    return widths


def _lives(table: Table, place: int, spans: Mapping[Column, tuple[float, float]]) -> bool:
    low, high = spans[table.columns[place]]
    return bool(table.ranges_K[place] >= LIVE_SHARE * (high - low))


def answers_of(tables: Sequence[Table], groups: Sequence[Group]) -> dict[int, int]:
    """Place of a measured group -> place of the command that it answers.

    Groups with the same places in channels of one width belong together where they move alike at
    all; others where nothing else explains them as well.
    """
    measured = [i for i, group in enumerate(groups) if not group.commanded]
    commands = [i for i, group in enumerate(groups) if group.commanded]
    if not measured or not commands:
        return {}
    likeness = np.mean([_likeness(table, groups, measured, commands) for table in tables], axis=0)
    widths = {name: wide for table in tables for name, wide in widths_of(table).items()}
    pairs: list[tuple[float, int, int]] = []
    for a, i in enumerate(measured):
        for b, k in enumerate(commands):
            same = _same_places(groups[i], groups[k], widths)
            both = _are_grippers(tables, groups[i], groups[k])
            least = NAMED_ANSWERS if same or both else ANSWERS
            if likeness[a, b] >= least:
                bonus = 0.3 if same or both else 0.0
                pairs.append((float(likeness[a, b]) + bonus, i, k))
    answers: dict[int, int] = {}
    for _, i, k in sorted(pairs, reverse=True):
        if i not in answers and k not in answers.values():
            answers[i] = k
    return answers


def _are_grippers(tables: Sequence[Table], measured: Group, command: Group) -> bool:
    """Whether the format says that both are a gripper's, and does not say of two arms."""
    table = tables[0]
    columns = (measured.columns[0], command.columns[0])
    places = [table.places[column] for column in columns if column in table.places]
    if len(places) < 2 or any(table.kinds[place] != "gripper" for place in places):
        return False
    sides = {side for place in places for side in ("left", "right") if side in table.words[place]}
    return len(sides) < 2


def _same_places(measured: Group, command: Group, widths: dict[str, int]) -> bool:
    a, b = measured.columns, command.columns
    one, other = a[0].channel, b[0].channel
    if widths.get(one) != widths.get(other) or stem_of(one) != stem_of(other):
        return False
    return bool({column.index for column in a} & {column.index for column in b})


def _likeness(
    table: Table, groups: Sequence[Group], measured: Sequence[int], commands: Sequence[int]
) -> Floats:
    """(measured, commands) greatest absolute correlation of a command with a later answer."""
    told, done = (
        np.stack([_centred(groups[i].signal(table), len(table.times_s)) for i in places], axis=1)
        for places in (commands, measured)
    )
    best = np.zeros((len(measured), len(commands)))
    steps = max(1, round(0.1 / table.step_s))
    for lag in range(0, round(ANSWER_S / table.step_s) + 1, steps):
        if lag + 3 > len(told):
            break
        best = np.maximum(best, np.abs(done[lag:].T @ told[: len(told) - lag]))
    return best


def _centred(signal_T: Floats | None, num_frames: int) -> Floats:
    """Without its mean and of length 1 as a vector; zeros where it does not move."""
    if signal_T is None or not len(signal_T):
        return np.zeros(num_frames)
    moved = signal_T - signal_T.mean()
    size = float(np.linalg.norm(moved))
    return moved / size if size > 1e-12 else np.zeros(num_frames)
