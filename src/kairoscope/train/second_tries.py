"""A clip in which somebody tries twice: up to just before an event, back again, and then all of it.

Whoever is shown a few clean demonstrations never sees a hand that closes on nothing, opens and comes
again, and takes the first try for the event. Played forwards, backwards and forwards once more, a
demonstration shows a try that came to nothing, whatever the event is: what had been done is undone,
and only the last time counts. Pure.
"""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kairoscope.events import Event

BEFORE_END_S = (0.0, 0.8)
"""How long before the event is done the first try turns back."""
BACK_S = (0.5, 2.5)
"""How far it goes back."""


@dataclass(frozen=True, slots=True)
class Played:
    """Frames of a clip in the order in which they are shown."""

    places: tuple[int, ...]
    """Of each frame in the clip."""
    times_s: tuple[float, ...]
    """At which each is shown; they rise."""
    events: tuple[Event, ...]
    """At these times."""


def straight(times_s: Sequence[float], events: Sequence[Event]) -> Played:
    """The clip as it is."""
    return Played(tuple(range(len(times_s))), tuple(times_s), tuple(events))


def tried_twice(times_s: Sequence[float], events: Sequence[Event], rng: random.Random) -> Played:
    """The clip with two tries at one of its events; as it is where there is no room for that.

    The first try never goes back beyond the end of another event: that would undo it.

    Args:
        times_s: of the clip's frames, rising.
        events: all that are labelled in it.
        rng: chooses the event, where the first try turns back, and how far.
    """
    event = rng.choice(list(events))
    turn_s = event.end_s - rng.uniform(*BEFORE_END_S)
    back_s = turn_s - rng.uniform(*BACK_S)
    done_s = max((e.end_s for e in events if e.end_s < event.end_s), default=times_s[0])
    turn = min(bisect_right(times_s, turn_s) - 1, bisect_left(times_s, event.end_s) - 1)
    back = bisect_left(times_s, max(back_s, done_s))
    if back < 0 or turn - back < 2 or times_s[turn] - times_s[back] < BACK_S[0]:
        return straight(times_s, events)
    turn_s, longer_s = times_s[turn], 2 * (times_s[turn] - times_s[back])
    undone = range(turn - 1, back - 1, -1)
    again = range(back + 1, len(times_s))
    return Played(
        places=(*range(turn + 1), *undone, *again),
        times_s=(
            *times_s[: turn + 1],
            *(2 * turn_s - times_s[place] for place in undone),
            *(times_s[place] + longer_s for place in again),
        ),
        events=tuple(_later(e, turn_s, longer_s) for e in events),
    )


def _later(event: Event, turn_s: float, longer_s: float) -> Event:
    """An event on the new clock: what comes after the turn comes later, what began before does not."""
    start_s = event.start_s
    return replace(
        event,
        start_s=start_s if start_s is None or start_s <= turn_s else start_s + longer_s,
        end_s=event.end_s + longer_s if event.end_s > turn_s else event.end_s,
    )
