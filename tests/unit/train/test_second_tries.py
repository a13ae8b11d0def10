"""A clip played up to just before an event, back, and on: what it shows and where its events are."""

import random
from itertools import pairwise

import pytest

from kairoscope.events import Event
from kairoscope.train.second_tries import BACK_S, straight, tried_twice

FPS = 12.0
TIMES_S = tuple(i / FPS for i in range(96))
EVENTS = (Event("grasp", 0.4, 2.5), Event("place", None, 5.25), Event("push", 5.5, 7.0))


@pytest.mark.parametrize("seed", range(80))
def test_every_event_ends_where_it_ended_and_nothing_jumps(seed: int) -> None:
    played = tried_twice(TIMES_S, EVENTS, random.Random(seed))
    assert all(later > earlier for earlier, later in pairwise(played.times_s))
    assert all(abs(later - earlier) == 1 for earlier, later in pairwise(played.places))
    assert (played.places[0], played.places[-1]) == (0, len(TIMES_S) - 1)
    assert [event.name for event in played.events] == [event.name for event in EVENTS]
    for event, own in zip(EVENTS, played.events, strict=True):
        at = min(range(len(played.times_s)), key=lambda i: abs(played.times_s[i] - own.end_s))
        assert TIMES_S[played.places[at]] == pytest.approx(event.end_s, abs=1e-6)
        # Nothing after its end shows a moment before it, so it is never undone.
        assert min(played.places[at:]) == played.places[at]
        assert own.start_s is None or 0 <= own.start_s <= own.end_s


def test_a_first_try_turns_back_before_its_event_and_goes_far() -> None:
    found = set()
    for seed in range(80):
        played = tried_twice(TIMES_S, EVENTS, random.Random(seed))
        turns = [
            place
            for before, place, after in zip(
                played.places, played.places[1:], played.places[2:], strict=False
            )
            if before < place > after
        ]
        if not turns:
            assert played == straight(TIMES_S, EVENTS)
            continue
        (turn,) = turns
        target = next(event for event in EVENTS if event.end_s > TIMES_S[turn])
        back = min(played.places[turn:][: len(played.places)])
        assert TIMES_S[turn] < target.end_s
        assert TIMES_S[turn] - TIMES_S[back] >= BACK_S[0]
        longer_s = played.times_s[-1] - TIMES_S[-1]
        assert longer_s == pytest.approx(2 * (TIMES_S[turn] - TIMES_S[back]))
        found.add(target.name)
    assert found == {"grasp", "place", "push"}


def test_without_room_for_two_tries_the_clip_is_as_it_was() -> None:
    close = (Event("grasp", None, 0.25), Event("place", None, 0.5))
    for seed in range(40):
        assert tried_twice(TIMES_S, close, random.Random(seed)) == straight(TIMES_S, close)
    for times_s in ((0.0,), (0.0, 4.0)):
        one = (Event("grasp", None, times_s[-1]),)
        assert tried_twice(times_s, one, random.Random(0)) == straight(times_s, one)
