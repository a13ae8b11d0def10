"""A gripper: which columns of a dataset move its fingers, and what they read when it is shut. Pure.

Found by `find_grippers`; shown to the user, because everything else follows from it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from kairoscope.robot.columns import Column, Floats, Table

Arm = Literal["left", "right"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finger:
    """One column, and its values at the two ends of its range in the dataset."""

    column: Column
    open: float
    closed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One piece of evidence: a summand of the log-odds and what it is, in words."""

    log_odds: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gripper:
    """One hand as a dataset records it."""

    measured: tuple[Finger, ...]
    """What the fingers did; empty where only commands are recorded."""
    commanded: tuple[Finger, ...]
    """What they were told; empty where it is not recorded."""
    score: float
    """Log-odds that this is a gripper."""
    reasons: tuple[Reason, ...]
    """What the score is the sum of, strongest first."""
    polarity: float
    """Log-odds that the fingers close in the direction that `Finger.closed` says; never negative."""
    polarity_reasons: tuple[Reason, ...]
    widths: tuple[tuple[Column, float], ...] = ()
    """How far each column of the arms goes in the dataset, to tell an arm that idles."""
    arm: Arm | None = None
    arm_reason: str = ""
    """Whether the file names the arm or the order of the columns suggests it."""

    @property
    def fingers(self) -> tuple[Finger, ...]:
        """The measured ones where there are any, otherwise the commanded ones."""
        return self.measured or self.commanded

    @property
    def is_command(self) -> bool:
        """Whether only commands say what this hand did."""
        return not self.measured

    @property
    def title(self) -> str:
        """The columns in words, such as `observation.state[20:26]`."""
        return columns_title([finger.column for finger in self.fingers])

    def closedness(self, table: Table) -> Floats | None:
        """(T,) 0 open to 1 shut, a little beyond at times; None where an episode lacks a column."""
        return closedness(table, self.fingers)


def closedness(table: Table, fingers: Sequence[Finger]) -> Floats | None:
    """(T,) mean over fingers of 0 open to 1 shut; None where a column is missing."""
    places = [table.places.get(finger.column) for finger in fingers]
    known = [place for place in places if place is not None]
    if not known or len(known) < len(places):
        return None
    opened = np.array([finger.open for finger in fingers])
    closed = np.array([finger.closed for finger in fingers])
    return np.asarray(((table.values_TK[:, known] - opened) / (closed - opened)).mean(axis=1))


def places_of(table: Table, gripper: Gripper) -> list[int]:
    """Places of all columns of a gripper in a table, as far as the episode has them."""
    columns = [finger.column for finger in (*gripper.measured, *gripper.commanded)]
    return [table.places[column] for column in columns if column in table.places]


def columns_title(columns: Sequence[Column]) -> str:
    """Columns in words: `action[29:34]`, `state[6], state[13]`, or the channel's name."""
    parts: list[str] = []
    for channel, own in groupby(sorted(columns), key=lambda column: column.channel):
        indices = [column.index for column in own]
        while indices:
            last = 0
            while last + 1 < len(indices) and indices[last + 1] == indices[last] + 1:
                last += 1
            first, indices = indices[0], indices[last + 1 :]
            parts.append(
                f"{channel}[{first}:{first + last + 1}]" if last else f"{channel}[{first}]"
            )
    return ", ".join(parts)


def describe(gripper: Gripper) -> str:
    """A gripper in words, for a person to check."""
    ends = ", ".join(f"{f.open:.3g} open, {f.closed:.3g} shut" for f in gripper.fingers[:1])
    arm = f"{gripper.arm} hand, " if gripper.arm else ""
    told = ""
    if gripper.measured and gripper.commanded:
        told = f", told by {columns_title([f.column for f in gripper.commanded])}"
    why = "; ".join(f"{reason.text} ({reason.log_odds:+.1f})" for reason in gripper.reasons[:4])
    way = "; ".join(
        f"{reason.text} ({reason.log_odds:+.1f})" for reason in gripper.polarity_reasons[:3]
    )
    return f"{arm}{gripper.title} ({ends}{told}). A gripper: {why}. It closes that way: {way}."


def arm_in(words: str) -> Arm | None:
    """The arm that words name; None where they name none, or both."""
    lower = words.lower()
    sides: dict[Arm, bool] = {
        "left": bool(re.search(r"left|(^|[^a-z])l[_\- ]|[_\- ]l([^a-z]|$)", lower)),
        "right": bool(re.search(r"right|(^|[^a-z])r[_\- ]|[_\- ]r([^a-z]|$)", lower)),
    }
    named = [arm for arm, found in sides.items() if found]
    return named[0] if len(named) == 1 else None
