"""Boundaries from which generation can start, or the reason why there are none. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from kairoscope.annotate.combining import Boundary
from kairoscope.posteriors import CONFIDENT_WITHIN_S
from kairoscope.robot.columns import Floats, frame_step_s
from kairoscope.robot.legality import TaskSpec, nearest_legal, violations
from kairoscope.robot.naming import SignalPlan

LABEL_WEIGHT = 1e6
"""A person's boundary stays where it is for as long as others can make room."""


def made_legal(
    boundaries: Sequence[Boundary], plan: SignalPlan, times_s: Floats
) -> tuple[tuple[Boundary, ...], str | None]:
    """The boundaries, moved where that takes no more than 0.25 s, and what is wrong with them else.

    Args:
        boundaries: of every event of the task, in order.
        plan: which of them end signals, and the offsets of those. Every arm is legal by itself.
        times_s: (T,) of the frames.

    Returns:
        Boundaries, those that were moved or cannot be legal with a flag; and a reason in words
        where generation could not start from them, otherwise None.
    """
    by_signal = {
        plan.signals[b.event]: i for i, b in enumerate(boundaries) if b.event in plan.signals
    }
    moved, troubles = list(boundaries), []
    for spec in plan.specs:
        places = [by_signal[signal] for signal in spec.signals]
        trouble = _settle(moved, places, spec, times_s)
        if trouble is not None:
            troubles.append(trouble)
    return tuple(moved), "; ".join(troubles) or None


def _settle(
    moved: list[Boundary], places: Sequence[int], spec: TaskSpec, times_s: Floats
) -> str | None:
    """Move one arm's boundaries in the list, or say what is wrong with them."""
    known = [frame for i in places if (frame := moved[i].frame) is not None]
    if len(known) < len(places):
        return None  # listed as not found
    ends = [frame + 1 for frame in known]
    wrong = violations(ends, spec, len(times_s))
    if not wrong:
        return None
    weights = [
        LABEL_WEIGHT if moved[i].source == "label" else max(moved[i].confidence or 0, 0.01)
        for i in places
    ]
    legal = nearest_legal(ends, spec, len(times_s), weights)
    most = round(CONFIDENT_WITHIN_S / frame_step_s(times_s))
    if legal is None or any(
        abs(new - old) > (0 if moved[i].source == "label" else most)
        for i, old, new in zip(places, ends, legal, strict=True)
    ):
        for i in places:
            moved[i] = replace(moved[i], flags=(*moved[i].flags, "not legal for generation"))
        return f"not legal for generation: {'; '.join(wrong)}"
    for i, old, new in zip(places, ends, legal, strict=True):
        if new != old:
            reason = f"moved by {new - old:+d} frames, so that generation can start: {wrong[0]}"
            moved[i] = replace(
                moved[i],
                frame=new - 1,
                end_s=float(times_s[new - 1]),
                flags=(*moved[i].flags, "moved to be legal"),
                reasons=(*moved[i].reasons, reason),
            )
    return None
