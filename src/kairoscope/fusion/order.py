"""Which boundaries come after which, and distributions that keep to it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """One moment that is looked for, and which one it must not come before."""

    slot: str
    after: int | None = None
    """Place of an earlier boundary of the same list."""
    gap_frames: int = 0
    """At least this many frames later than that one."""


def ends_in_turn(num_events: int) -> tuple[Boundary, ...]:
    """The ends of events that follow one another; each starts where the one before it ends."""
    return tuple(
        Boundary(slot=f"end {i + 1}", after=i - 1 if i else None, gap_frames=1 if i else 0)
        for i in range(num_events)
    )


def ends_by_arm(arms: Sequence[str]) -> tuple[Boundary, ...]:
    """The ends of events that follow one another on each arm; those of two arms come in any order.

    Args:
        arms: of each event, in order; one name throughout is `ends_in_turn`.
    """
    latest: dict[str, int] = {}
    boundaries = []
    for place, arm in enumerate(arms):
        after = latest.get(arm)
        gap = 0 if after is None else 1
        boundaries.append(Boundary(slot=f"end {place + 1}", after=after, gap_frames=gap))
        latest[arm] = place
    return tuple(boundaries)


def starts_and_ends(num_events: int, *, overlapping: bool = False) -> tuple[Boundary, ...]:
    """Starts and ends, an end at least one frame after its start.

    Args:
        num_events: how many.
        overlapping: an event may start before the one before it ends (two arms), but not before
            that one starts. Otherwise it starts at or after that end.
    """
    boundaries: list[Boundary] = []
    for i in range(num_events):
        before = 2 * i - (2 if overlapping else 1)
        boundaries += [
            Boundary(slot=f"start {i + 1}", after=before if i else None),
            Boundary(slot=f"end {i + 1}", after=2 * i, gap_frames=1),
        ]
    return tuple(boundaries)


def frames_needed(boundaries: Sequence[Boundary]) -> int:
    """How many frames a clip must have for all gaps to fit.

    Raises ValueError for a boundary that comes after a later one, or after itself.
    """
    depth: list[int] = []
    for i, b in enumerate(boundaries):
        if b.after is not None and not 0 <= b.after < i:
            raise ValueError(f"{b.slot} must come after an earlier boundary, not number {b.after}")
        depth.append(b.gap_frames + (0 if b.after is None else depth[b.after]))
    return max(depth, default=0) + 1


def in_order(log_BT: Floats, boundaries: Sequence[Boundary]) -> Floats:
    """(B, T) unnormalised log probabilities -> marginals under the order of the boundaries.

    The boundaries form a forest, so two sweeps of sums over frames are exact (Pearl, 1988). O(B T).
    """
    own_BT = np.exp(log_BT - log_BT.max(axis=1, keepdims=True))
    up_BT = own_BT.copy()  # own evidence times messages from later boundaries
    messages: list[Floats] = [np.ones(log_BT.shape[1])] * len(boundaries)
    for i in reversed(range(len(boundaries))):
        parent = boundaries[i].after
        if parent is not None:
            messages[i] = _scaled(_later(up_BT[i], boundaries[i].gap_frames))
            up_BT[parent] = _scaled(up_BT[parent] * messages[i])
    beliefs_BT = up_BT.copy()
    for i, boundary in enumerate(boundaries):
        if boundary.after is not None:
            # What the parent knows without this child: all but the child's own message.
            message = messages[i]
            others = np.divide(
                beliefs_BT[boundary.after], message, out=np.zeros_like(message), where=message > 0
            )
            beliefs_BT[i] = _scaled(up_BT[i] * _earlier(others, boundary.gap_frames))
    return np.asarray(beliefs_BT / beliefs_BT.sum(axis=1, keepdims=True))


def _scaled(values: Floats) -> Floats:
    return np.asarray(values / values.max())


def _later(child_T: Floats, gap: int) -> Floats:
    """For every frame of the parent, the sum over the child's frames at least `gap` later."""
    sums = np.cumsum(child_T[::-1])[::-1]
    return np.concatenate([sums[gap:], np.zeros(gap)])


def _earlier(parent_T: Floats, gap: int) -> Floats:
    """For every frame of the child, the sum over the parent's frames at least `gap` earlier."""
    sums = np.cumsum(parent_T)
    return np.concatenate([np.zeros(gap), sums[: len(sums) - gap]])
