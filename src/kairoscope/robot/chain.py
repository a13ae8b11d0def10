"""The best order-keeping assignment of moments to events, and how likely every other one is. Pure.

A hidden Markov chain: the states of event i are the last moment that was taken, and whether event i
took it. Sums over all paths give distributions, the best path gives the choice.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairoscope.robot.columns import Floats
from kairoscope.robot.fits import BOTH_WITHIN_S, NOTHING, Fit, log_share
from kairoscope.robot.moment import Moment
from kairoscope.robot.wording import Meaning

OVERLAP_S = 0.5
"""Events of two hands may end in the other order by this much."""
SAME_MOMENT = -1.0
"""Two events in a row that end with one moment, such as inserting and releasing."""
OTHER_EVENTS = 0.3
"""What it costs to pass over a moment that would do for another event, beside one for this."""
LATE_CLOSING, LATE_OTHERS = 0.7, 0.1
"""The same after the last event. What ends the last subtask of all is often not asked for."""
TOGETHER = 0.1
"""The same where two hands do one thing together, of which a query often speaks as one event."""
NEVER = -1e9


class Chain:
    """All ways to assign moments to events: states of event i are (last moment, taken now or not)."""

    def __init__(
        self,
        moments: Sequence[Moment],
        meanings: Sequence[Meaning],
        fits: Sequence[Sequence[Fit | None]],
        times_s: Floats,
    ) -> None:
        self.moments, self.meanings, self.fits = moments, meanings, fits
        self._num_moments = len(moments)
        self._nothing = [float(np.log(NOTHING[meaning.action])) for meaning in meanings]
        matters = np.array([log_share(moment.log_odds) for moment in moments])
        ignored = np.array([log_share(-moment.log_odds) for moment in moments])
        ignored *= np.where(_together(moments, times_s), TOGETHER, 1.0)
        self._emit, self._steps = [], []
        order = _order(moments, times_s)
        rows = [np.array([NEVER if f is None else f.log_odds for f in own]) for own in fits]
        serves = [np.exp(np.clip(row, -50.0, 0.0)) for row in rows]
        some = np.max(serves, axis=0) if serves else np.zeros(len(moments))
        for row, own in zip(rows, serves, strict=True):
            self._emit.append(np.maximum(row + matters, NEVER))
            self._steps.append(_steps(order, np.maximum(own, OTHER_EVENTS * some) * ignored))
        closes = np.array([moment.kind == "closing" for moment in moments], dtype=bool)
        late = np.where(closes, LATE_CLOSING, LATE_OTHERS) * some * ignored
        self._tail = late.sum() - np.concatenate(([0.0], np.cumsum(late)))

    def total(self) -> float:
        """Log of the sum over all choices; 0 for no event."""
        if not self._emit:
            return 0.0
        last = self._forward(np.logaddexp.reduce)[-1] + self._tail[:, None]
        return float(np.logaddexp.reduce(last, axis=None))

    def shares(self) -> list[Floats]:
        """For each event (M + 1,): probability of every moment, and of none, last."""
        ahead, behind = self._forward(np.logaddexp.reduce), self._backward()
        shares = []
        for taken, after in zip(ahead, behind, strict=True):
            both = taken + after
            both = np.exp(both - np.logaddexp.reduce(both, axis=None))
            shares.append(np.concatenate((both[1:, 0], [both[:, 1].sum() + both[0, 0]])))
        return shares

    def best(self) -> list[int | None]:
        """For each event the moment of the single best choice, or None."""
        if not self._emit:
            return []
        scores = self._forward(np.maximum.reduce)
        final = scores[-1] + self._tail[:, None]
        state, taken = np.unravel_index(int(np.argmax(final)), final.shape)
        place, flag = int(state), int(taken)
        chosen: list[int | None] = []
        for i in range(len(self._emit) - 1, -1, -1):
            chosen.append(place - 1 if flag == 0 else None)
            if i == 0:
                break
            before = scores[i - 1]
            if flag == 0:
                paths = before.max(axis=1) + self._steps[i][:, place]
                place = int(np.argmax(paths))
            flag = int(np.argmax(before[place]))
        return chosen[::-1]

    def _forward(self, reduce: Callable[..., Any]) -> list[Floats]:
        """(M + 1, 2) of every event: best score, or log of the sum, of all choices up to it."""
        last = np.full((self._num_moments + 1, 2), NEVER)
        last[0, 1] = 0.0
        found = []
        for emit, steps, nothing in zip(self._emit, self._steps, self._nothing, strict=True):
            reached = np.asarray(reduce(last, axis=1))
            now = np.full_like(last, NEVER)
            if self._num_moments:
                now[1:, 0] = emit + reduce(reached[:, None] + steps[:, 1:], axis=0)
            now[:, 1] = nothing + reached
            found.append(now)
            last = now
        return found

    def _backward(self) -> list[Floats]:
        """(M + 1, 2) of every event: log of the sum of all choices after it."""
        if not self._emit:
            return []
        after = np.repeat(self._tail[:, None], 2, axis=1)
        found = [after]
        for i in range(len(self._emit) - 1, 0, -1):
            ahead = self._nothing[i] + after[:, 1]
            if self._num_moments:
                taken = self._steps[i][:, 1:] + (self._emit[i] + after[1:, 0])[None, :]
                ahead = np.logaddexp(ahead, np.logaddexp.reduce(taken, axis=1))
            after = np.repeat(ahead[:, None], 2, axis=1)
            found.append(after)
        return found[::-1]


def _together(moments: Sequence[Moment], times_s: Floats) -> NDArray[np.bool_]:
    """(M,) whether another hand probably does the same at about the same time."""
    return np.array(
        [
            any(
                moment.gripper is not None
                and other.gripper not in (None, moment.gripper)
                and other.kind == moment.kind
                and other.log_odds > 0
                and abs(times_s[other.frame] - times_s[moment.frame]) <= BOTH_WITHIN_S
                for other in moments
            )
            for moment in moments
        ],
        dtype=bool,
    )


def _order(moments: Sequence[Moment], times_s: Floats) -> Floats:
    """(M + 1, M + 1) 0 where the second moment may follow the first (0: the start), else `NEVER`."""
    count = len(moments)
    allowed = np.full((count + 1, count + 1), NEVER)
    allowed[0, 1:] = 0.0
    for a, first in enumerate(moments):
        for b, second in enumerate(moments):
            if a == b:
                allowed[a + 1, b + 1] = SAME_MOMENT
            elif b > a:
                allowed[a + 1, b + 1] = 0.0
            elif first.gripper != second.gripper:
                early = times_s[first.frame] - times_s[second.frame]
                allowed[a + 1, b + 1] = 0.0 if early <= OVERLAP_S else NEVER
    return allowed


def _steps(order: Floats, passed: Floats) -> Floats:
    """(M + 1, M + 1) cost of going from one moment to the next and passing over those between."""
    sums = np.concatenate(([0.0], np.cumsum(passed)))
    # Between a and b (places from 1) lie the moments a + 1 .. b - 1.
    until = np.concatenate(([0.0], sums[:-1]))
    between = np.minimum(0.0, until[None, :] - sums[:, None])
    return np.asarray(np.where(order <= NEVER, NEVER, order + between))
