"""Which subtask ends MimicGen and Isaac Lab Mimic can start from, and the nearest ones that are. Pure.

An end is exclusive, as both systems count: subtask i of a demonstration is `demo[end[i - 1] :
end[i]]`, so its end is one more than the first frame on which its signal is 1. The last subtask has
no signal and ends with the demonstration. At every attempt of generation each end but the last is
moved by a random offset of its range, and no subtask may ever come out empty:

    end[i] + max_offset[i] < end[i + 1] + min_offset[i + 1]
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kairoscope.core import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """The subtasks of a task that end with a signal, in order; the last subtask is not among them.

    Raises UserError for names that come twice and for ranges that do not fit.
    """

    name: str
    signals: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    """Smallest and largest number of frames added to each end, one range a signal."""

    def __post_init__(self) -> None:
        if len(set(self.signals)) != len(self.signals):
            raise UserError(f"task {self.name}: a signal is named twice in {list(self.signals)}")
        if len(self.offsets) != len(self.signals):
            raise UserError(
                f"task {self.name}: {len(self.signals)} signals need as many offset ranges, "
                f"there are {len(self.offsets)}"
            )
        for signal, (low, high) in zip(self.signals, self.offsets, strict=True):
            if low > high:
                raise UserError(f"task {self.name}: offset range of {signal!r} is {low} to {high}")


def _spec(name: str, low: int, high: int, *signals: str) -> TaskSpec:
    return TaskSpec(name=name, signals=signals, offsets=((low, high),) * len(signals))


_PICK_PLACE = ("milk", "cereal", "bread", "can")

SPECS: Mapping[str, TaskSpec] = {
    spec.name: spec
    for spec in (
        _spec("stack", 10, 20, "grasp"),
        _spec("stack_three", 10, 20, "grasp_1", "stack_1", "grasp_2"),
        _spec("square", 10, 20, "grasp"),
        _spec("threading", 5, 10, "grasp"),
        _spec("coffee", 5, 10, "grasp"),
        _spec("three_piece_assembly", 5, 10, "grasp_1", "insert_1", "grasp_2"),
        _spec("nut_assembly", 10, 20, "grasp_square_nut", "insert_square_nut", "grasp_round_nut"),
        # Its core configuration moves the ends of grasps only.
        TaskSpec(
            name="pick_place",
            signals=tuple(f"{verb}_{o}" for o in _PICK_PLACE for verb in ("grasp", "place"))[:-1],
            offsets=(((10, 20), (0, 0)) * len(_PICK_PLACE))[:-1],
        ),
        _spec("coffee_preparation", 5, 10, "mug_grasp", "mug_place", "drawer_open", "pod_grasp"),
        _spec("hammer_cleanup", 10, 20, "open", "grasp"),
        _spec("mug_cleanup", 10, 20, "open", "grasp"),
        # Isaac Lab's cube stacking with the Franka arm.
        _spec("stack_cube", 10, 20, "grasp_1", "stack_1", "grasp_2"),
    )
}
"""The core configurations of MimicGen's tasks and Isaac Lab's cube stacking, by name. Others, and
other ranges, are `TaskSpec`s of the caller's own."""

_SAME_TASK = {"nutassemblysquare": "square"}
"""robosuite's name of an environment -> the task that MimicGen's is made of."""


def spec_for(environment: str) -> TaskSpec | None:
    """The spec of an environment or environment interface as files name it, or None.

    `Stack_D1`, `MG_Stack` and `stack` are `stack`; `Isaac-Stack-Cube-Franka-IK-Rel-v0` is
    `stack_cube`.
    """
    if re.match(r"Isaac(Contrib)?-Stack-Cube(-Bin)?-Franka\b", environment):
        return SPECS["stack_cube"]
    bare = re.sub(r"(^MG_)|(_[DO]\d$)", "", environment)
    key = re.sub(r"[^a-z0-9]", "", bare.lower())
    key = _SAME_TASK.get(key, key)
    return next((spec for name, spec in SPECS.items() if name.replace("_", "") == key), None)


def violations(ends: Sequence[int], spec: TaskSpec, length: int) -> list[str]:
    """Every reason, in words, why generation could not start from these ends; empty: it can.

    Args:
        ends: exclusive end of each subtask with a signal, in frames.
        spec: signals in order and their offset ranges.
        length: frames of the demonstration, where its last subtask ends.
    """
    if len(ends) != len(spec.signals):
        return [f"{len(ends)} ends for the {len(spec.signals)} signals of {spec.name}"]
    found = []
    named = list(zip(spec.signals, ends, spec.offsets, strict=True))
    for signal, end, _ in named:
        if not 2 <= end <= length:
            found.append(
                f"{signal!r} ends at {end}, which must lie in 2 to {length} for its signal to "
                f"change within the {length} frames"
            )
    if named and named[0][1] + named[0][2][0] <= 0:
        found.append(f"{named[0][0]!r} ends before the first frame with offset {named[0][2][0]}")
    following = [*named[1:], ("the last subtask", length, (0, 0))]
    for (signal, end, (_, high)), (after, after_end, (low, _)) in zip(
        named, following, strict=False
    ):
        if after_end <= end and after != "the last subtask":
            found.append(f"{after!r} ends at {after_end}, not after {signal!r} at {end}")
        elif end + high >= after_end + low:
            found.append(
                f"{signal!r} ends at {end} and up to {high} later, {after!r} at {after_end} and "
                f"as early as {low} later: {end} + {high} must be less than {after_end} + {low}"
            )
    return found


def nearest_legal(
    ends: Sequence[int],
    spec: TaskSpec,
    length: int,
    weights: Sequence[float] | None = None,
) -> tuple[int, ...] | None:
    """The legal ends with the least sum of weighted squared moves, or None where there are none.

    Legal ends are as far apart as `violations` demands, which isotonic regression by pooling
    adjacent violators solves exactly once each end is counted from its earliest place; limits at
    both sides clip it, and whole frames are the rounded means (Barlow et al., 1972).

    Args:
        ends: as found, legal or not.
        spec: signals in order and their offset ranges.
        length: frames of the demonstration.
        weights: how much each end is to stay, positive, such as confidences; None: all alike.
    """
    if len(ends) != len(spec.signals):
        raise ValueError(f"{len(ends)} ends for the {len(spec.signals)} signals of {spec.name}")
    if not ends:
        return ()
    first, last = max(2, 1 - spec.offsets[0][0]), min(length, length - 1 - spec.offsets[-1][1])
    shifts = [0]
    for (_, high), (low, _) in zip(spec.offsets, spec.offsets[1:], strict=False):
        shifts.append(shifts[-1] + max(1, high - low + 1))
    if first + shifts[-1] > last:
        return None
    wanted = [end - shift for end, shift in zip(ends, shifts, strict=True)]
    fitted = _isotonic(wanted, weights or [1.0] * len(ends))
    clipped = (min(max(math.floor(x + 0.5), first), last - shifts[-1]) for x in fitted)
    return tuple(x + shift for x, shift in zip(clipped, shifts, strict=True))


def _isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The non-decreasing sequence with the least weighted sum of squared differences."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        blocks.append((float(value), float(weight), 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, total, count = blocks.pop()
            before, total_before, count_before = blocks.pop()
            both = total + total_before
            pooled = (before * total_before + mean * total) / both
            blocks.append((pooled, both, count + count_before))
    return [mean for mean, _, count in blocks for _ in range(count)]
