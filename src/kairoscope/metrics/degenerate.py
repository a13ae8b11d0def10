"""Answers that do not depend on the video. Pure.

A published table has 0.560 s / 109.7 % for three models on one task: the error of answering
"0-1, 1-2" for every clip. A mean hides that; this finds it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from kairoscope.events import Events, Query, aligned, starts_s

ALIKE_S = 0.05
"""Times this near count as the same: under half a frame step at 8 frames a second, so that an
answer that follows the video by one frame is not counted as constant."""
NEARLY_ALL = 0.9
"""Share of the answers that must be alike."""
DIFFERING = 0.5
"""Share of the clips whose truth may be alike in the same way: where the truth itself hardly
differs, answers that hardly differ are right."""
MIN_GROUPS = 3
"""Fewer demonstrations than this can agree by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedClip:
    """One set of events about one clip: an answer, or the truth."""

    group: str
    query: Query
    events: Events
    duration_s: float


def is_degenerate(answers: Sequence[TimedClip], truths: Sequence[TimedClip]) -> bool:
    """Whether nearly all answers are alike where the clips' truths are not.

    `answers` of one scenario, any number a clip; `truths` of the same scenario, one a clip.
    Alike is any of: the same end times; the same regular spacing, wherever it begins; the clip
    divided into equal parts.
    """
    if len({answer.group for answer in answers}) < MIN_GROUPS:
        return False
    return any(
        given >= NEARLY_ALL and true <= DIFFERING
        for given, true in zip(_shares(answers), _shares(truths), strict=True)
    )


def _shares(clips: Sequence[TimedClip]) -> tuple[float, float, float]:
    """Share of the clips that are alike in each of the three ways, among those with the events
    that most of them have."""
    rows = [(aligned(clip.events, clip.query), clip.duration_s) for clip in clips]
    present = [tuple(event is not None for event in places) for places, _ in rows]
    commonest = Counter(present).most_common(1)[0][0] if present else ()
    kept = [
        (tuple(event for event in places if event is not None), duration_s)
        for (places, duration_s), pattern in zip(rows, present, strict=True)
        if pattern == commonest
    ]
    ends = [[event.end_s for event in events] for events, _ in kept]
    chains = [[starts_s(events)[0], *(e.end_s for e in events)] for events, _ in kept if events]
    steps = [[b - a for a, b in pairwise(c)] for c in chains]
    parts = [
        [end - duration_s * (i + 1) / len(row) for i, end in enumerate(row)]
        for row, (_, duration_s) in zip(ends, kept, strict=True)
    ]
    num_parted = sum(_near(row, 0.0) for row in parts if row)
    total = max(len(clips), 1)
    return _num_same(ends) / total, _num_regular(steps) / total, num_parted / total


def _num_same(rows: Sequence[Sequence[float]]) -> int:
    """How many rows equal the median row."""
    middle = [median(column) for column in zip(*rows, strict=True)]
    return sum(
        all(abs(x - m) <= ALIKE_S for x, m in zip(row, middle, strict=True)) for row in rows if row
    )


def _num_regular(rows: Sequence[Sequence[float]]) -> int:
    """How many rows of steps are one and the same step; a single step has no regularity."""
    steps = [step for row in rows for step in row]
    common_s = median(steps) if steps else 0.0
    return sum(_near(row, common_s) for row in rows if len(row) > 1)


def _near(row: Sequence[float], value: float) -> bool:
    return all(abs(x - value) <= ALIKE_S for x in row)
