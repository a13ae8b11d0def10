"""Find the grippers of a dataset by what its columns do. Pure.

    grippers = find_grippers(episodes)

Nobody has to say which column it is, in which unit, or which way it closes; names in the file
help where there are any. What was found comes with its reasons, to be shown to the user.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np

from kairoscope.events import Query
from kairoscope.robot.column_groups import Group, answers_of, groups_of, spans_of
from kairoscope.robot.columns import Column, Table, table_of
from kairoscope.robot.episode import Episode
from kairoscope.robot.gripper import Gripper, Reason
from kairoscope.robot.gripper_choice import choose
from kairoscope.robot.gripper_evidence import Look, looks_of
from kairoscope.robot.gripper_score import Surroundings, reasons_for
from kairoscope.robot.gripper_sides import oriented, with_arms
from kairoscope.robot.query_polarity import judged_by_query
from kairoscope.robot.unit import Unit, is_named_gripper, words_of

MOST_EPISODES = 32
"""More than these add time, and nothing else."""


def find_grippers(episodes: Iterable[Episode], query: Query = ()) -> tuple[Gripper, ...]:
    """Find the hands of a dataset, likeliest first; empty where nothing looks like one.

    Several episodes together say more than one; the first 32 are looked at, so a caller with
    thousands passes some from all over the dataset.

    Args:
        episodes: of one dataset, read as they are needed.
        query: the events that are asked for in all of them, where known: their number and order
            help to tell which way a hand closes.

    Raises:
        UnreadableEpisode: where a channel has another number of rows than there are frames.
    """
    tables = [table_of(episode) for episode in islice(episodes, MOST_EPISODES)]
    tables = [table for table in tables if len(table.times_s) >= 5]
    if not tables:
        return ()
    spans = spans_of(tables)
    widths = {column: high - low for column, (low, high) in spans.items()}
    units = units_of(tables, spans)
    rows = [looks_of(table, units, widths) for table in tables]
    looks = [[look for row in rows if (look := row[k]) is not None] for k in range(len(units))]
    reasons = scored(tables, units, looks)
    chosen = choose(tables, units, reasons)
    grippers = with_arms(tables, oriented(tables, units, rows, reasons, chosen, widths))
    return judged_by_query(tables, grippers, query)


def units_of(tables: Sequence[Table], spans: Mapping[Column, tuple[float, float]]) -> list[Unit]:
    """Everything that may be a hand: columns that move as one, with their commands or answers."""
    groups = groups_of(tables, spans)
    answers = answers_of(tables, groups)
    units = [
        Unit(group, groups[answers[i]] if i in answers else None)
        for i, group in enumerate(groups)
        if not group.commanded
    ]
    alone = set(range(len(groups))) - set(answers.values())
    return units + [Unit(None, groups[i]) for i in sorted(alone) if groups[i].commanded]


def scored(
    tables: Sequence[Table], units: Sequence[Unit], looks: Sequence[Sequence[Look]]
) -> dict[int, tuple[Reason, ...]]:
    """Place of a unit that moves -> evidence that it is a gripper."""
    moving = [own for own in looks if own]
    if not moving:
        return {}
    rest = float(np.median([np.mean([look.resting for look in own]) for own in moving]))
    pace = float(np.median([np.mean([look.with_body for look in own]) for own in moving]))
    if len(moving) < 4:  # too few columns to tell what is usual
        rest, pace = 0.5, 1.4
    found = {}
    for k, own in enumerate(looks):
        if own:
            around = Surroundings(
                words=words_of(tables, units[k]),
                named_by_format=is_named_gripper(tables, units[k]),
                place=place_of(tables, units[k].main),
                breadth=breadth_of(units, units[k].main),
                crowd=crowd_of(units, units[k].main),
                others_rest=rest,
                others_with_body=pace,
            )
            found[k] = reasons_for(units[k], around, own)
    return found


def place_of(tables: Sequence[Table], group: Group) -> str:
    """`last`, `last of a half`, or nothing: where most robots have their hands in a vector."""
    channel, last = group.columns[-1].channel, group.columns[-1].index
    indices = [column.index for column in tables[0].columns if column.channel == channel]
    wide = max(indices) + 1
    if wide == len(group.columns):
        return ""
    if last == wide - 1:
        return "last"
    return "last of a half" if wide % 2 == 0 and last == wide // 2 - 1 else ""


def breadth_of(units: Sequence[Unit], group: Group) -> float:
    """How far columns move, in shares of the 75th percentile of their channel's columns."""
    channel = group.columns[0].channel
    usual = [
        high - low
        for unit in units
        for part in (unit.measured, unit.commanded)
        if part is not None and part.columns[0].channel == channel
        for low, high in zip(part.low, part.high, strict=True)
    ]
    own = np.mean(np.array(group.high) - np.array(group.low))
    return float(own / np.quantile(usual, 0.75))


def crowd_of(units: Sequence[Unit], group: Group) -> float:
    """Share of the moving columns of a channel that belong to a group; 0 for a group of its own."""
    channel = group.columns[0].channel
    parts = [part for unit in units for part in (unit.measured, unit.commanded) if part is not None]
    columns = {c for part in parts for c in part.columns if c.channel == channel}
    return 0.0 if len(columns) == len(group.columns) else len(group.columns) / len(columns)
