"""Which way hands close, judged by the events that the user asks for. Pure.

A hand that is read upside down still opens and closes, but at other times and as often as not one
time too many: a query says how many graspings and releases there are, and in which order.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, product

import numpy as np

from kairoscope.events import Query
from kairoscope.robot.columns import Table
from kairoscope.robot.gripper import Finger, Gripper, Reason
from kairoscope.robot.holds import clipped
from kairoscope.robot.matching import log_score
from kairoscope.robot.moments import moments_in

MOST_HANDS = 3
"""With more hands there are too many ways to read them all."""
SAME_ENDS = 0.25
"""Of the range."""
WEIGHT, MOST = 0.7, 6.0
"""Weight of an episode's log score, and what all episodes together can add."""


def judged_by_query(
    tables: Sequence[Table], grippers: Sequence[Gripper], query: Query
) -> tuple[Gripper, ...]:
    """The hands, turned round where the events that are asked for fit better that way."""
    if not query or not 1 <= len(grippers) <= MOST_HANDS:
        return tuple(grippers)
    scores = {}
    tied = [
        (a, b) for a, b in combinations(range(len(grippers)), 2) if alike(grippers[a], grippers[b])
    ]
    for turns in product((False, True), repeat=len(grippers)):
        if any(turns[a] != turns[b] for a, b in tied):
            continue
        hands = [turned(g) if turn else g for g, turn in zip(grippers, turns, strict=True)]
        found = [log_score(moments_in(table, hands), query, table.times_s) for table in tables]
        scores[turns] = clipped_sum(found)
    result = []
    for k, gripper in enumerate(grippers):
        kept = max(score for turns, score in scores.items() if not turns[k])
        other = max(score for turns, score in scores.items() if turns[k])
        lead = clipped(WEIGHT * (kept - other), -MOST, MOST)
        reason = Reason(log_odds=round(lead, 2), text="then the events that are asked for fit")
        gripper = replace(
            gripper,
            polarity=round(gripper.polarity + lead, 2),
            polarity_reasons=(*gripper.polarity_reasons, reason),
        )
        result.append(gripper if gripper.polarity >= 0 else turned(gripper))
    return tuple(result)


def alike(first: Gripper, second: Gripper) -> bool:
    """Whether two hands have the same values when open and when shut, and so close the same way."""
    a, b = (np.array([(f.open, f.closed) for f in g.fingers]).mean(axis=0) for g in (first, second))
    wide = max(abs(a[1] - a[0]), abs(b[1] - b[0]))
    return bool(np.abs(a - b).max() <= SAME_ENDS * wide)


def clipped_sum(scores: Sequence[float]) -> float:
    """Sum of the log scores of episodes, none of which counts for more than a few events missed."""
    return sum(max(score, -20.0) for score in scores)


def turned(gripper: Gripper) -> Gripper:
    """The same hand, taken to close the other way."""
    reasons = (replace(r, log_odds=-r.log_odds) for r in gripper.polarity_reasons)
    return replace(
        gripper,
        measured=_turned(gripper.measured),
        commanded=_turned(gripper.commanded),
        polarity=-gripper.polarity,
        polarity_reasons=tuple(reasons),
    )


def _turned(fingers: tuple[Finger, ...]) -> tuple[Finger, ...]:
    return tuple(replace(f, open=f.closed, closed=f.open) for f in fingers)
