"""From columns to hands: which way they close, and which arm they belong to. Pure."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kairoscope.robot.arm_speed import Widths, arm_speeds
from kairoscope.robot.column_groups import Group
from kairoscope.robot.columns import Column, Table
from kairoscope.robot.gripper import Arm, Finger, Gripper, Reason, arm_in
from kairoscope.robot.gripper_evidence import Look
from kairoscope.robot.polarity import combined, polarity_reasons
from kairoscope.robot.unit import Unit, words_of


def oriented(
    tables: Sequence[Table],
    units: Sequence[Unit],
    rows: Sequence[Sequence[Look | None]],
    reasons: dict[int, tuple[Reason, ...]],
    chosen: Sequence[int],
    widths: Widths,
) -> list[Gripper]:
    """The chosen units as grippers, with the direction in which they close.

    Args:
        tables: of the episodes.
        units: what may be a hand.
        rows: for each episode, what every unit does in it.
        reasons: for each unit, why it is a hand.
        chosen: places of the units that are.
        widths: how far columns go in the dataset.
    """
    looks = _with_own_arms(tables, units, rows, chosen, widths)
    own = {k: polarity_reasons(words_of(tables, units[k]), looks[k]) for k in chosen}
    alike = {k: [o for o in chosen if o != k and _reads_alike(units[k], units[o])] for k in chosen}
    grippers = []
    for k, evidence in combined(own, alike).items():
        total = sum(reason.log_odds for reason in evidence)
        rises = total >= 0
        grippers.append(
            Gripper(
                measured=fingers_of(tables, units[k].measured, units[k].main, rises=rises),
                commanded=fingers_of(tables, units[k].commanded, units[k].main, rises=rises),
                score=round(sum(reason.log_odds for reason in reasons[k]), 2),
                reasons=tuple(sorted(reasons[k], key=lambda reason: -abs(reason.log_odds))),
                polarity=round(abs(total), 2),
                widths=tuple(sorted(widths.items())),
                polarity_reasons=evidence if rises else tuple(map(_negated, evidence)),
            )
        )
    return grippers


def _with_own_arms(
    tables: Sequence[Table],
    units: Sequence[Unit],
    rows: Sequence[Sequence[Look | None]],
    chosen: Sequence[int],
    widths: Widths,
) -> dict[int, list[Look]]:
    """What every chosen unit does, beside the speed of the arm that carries it."""
    names = [arm_in(words_of(tables, units[k])) for k in chosen]
    looks: dict[int, list[Look]] = {k: [] for k in chosen}
    for table, row in zip(tables, rows, strict=True):
        columns = [units[k].columns for k in chosen]
        hands = [[table.places[c] for c in own if c in table.places] for own in columns]
        for k, speed_T in zip(chosen, arm_speeds(table, hands, names, widths), strict=True):
            look = row[k]
            if look is not None:
                looks[k].append(replace(look, body_T=speed_T))
    return looks


def _reads_alike(first: Unit, second: Unit) -> bool:
    """Whether the hands of two units have the same values when open and when shut."""
    a, b = first.main, second.main
    if len(a.columns) != len(b.columns) or a.columns[0].channel != b.columns[0].channel:
        return False
    ends = [(np.mean(g.low), np.mean(g.high)) for g in (a, b)]
    wide = max(high - low for low, high in ends)
    return bool(max(abs(x - y) for x, y in zip(*ends, strict=True)) <= 0.25 * wide)


def _negated(reason: Reason) -> Reason:
    return replace(reason, log_odds=-reason.log_odds)


def fingers_of(
    tables: Sequence[Table], group: Group | None, main: Group, *, rises: bool
) -> tuple[Finger, ...]:
    """The columns of a group with their ends; `rises`: the main group's signal rises to close."""
    if group is None:
        return ()
    upwards = rises if group is main or _same_way(tables, group, main) else not rises
    return tuple(
        Finger(
            column=column,
            open=low if (sign > 0) == upwards else high,
            closed=high if (sign > 0) == upwards else low,
        )
        for column, sign, low, high in zip(
            group.columns, group.signs, group.low, group.high, strict=True
        )
    )


def _same_way(tables: Sequence[Table], command: Group, main: Group) -> bool:
    """Whether a command rises when its answer, up to half a second later, does."""
    total = 0.0
    for table in tables:
        told, done = command.signal(table), main.signal(table)
        if told is None or done is None:
            continue
        lag = min(round(0.3 / table.step_s), len(told) - 2)
        told, done = told[: len(told) - lag], done[lag:]
        total += float((told - told.mean()) @ (done - done.mean()))
    return total >= 0


def with_arms(tables: Sequence[Table], grippers: Sequence[Gripper]) -> tuple[Gripper, ...]:
    """Say which arm each hand belongs to: by name, or of two in one channel by order."""
    named = [arm_in(_words(tables, gripper)) for gripper in grippers]
    result = [
        replace(g, arm=arm, arm_reason="the file says so") if arm else g
        for g, arm in zip(grippers, named, strict=True)
    ]
    if len(result) == 2 and not any(named):
        firsts: list[Column] = [gripper.fingers[0].column for gripper in result]
        if firsts[0].channel == firsts[1].channel:
            left = 0 if firsts[0] < firsts[1] else 1
            for k, gripper in enumerate(result):
                arm: Arm = "left" if k == left else "right"
                reason = "no name says it; in most files the left arm's columns come first"
                result[k] = replace(gripper, arm=arm, arm_reason=reason)
    return tuple(result)


def _words(tables: Sequence[Table], gripper: Gripper) -> str:
    table = tables[0]
    columns = [finger.column for finger in (*gripper.measured, *gripper.commanded)]
    return ", ".join(table.words[table.places[c]] for c in columns if c in table.places)
