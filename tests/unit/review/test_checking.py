"""What is wrong with boundaries, and what of it stops saving: exactly what no label may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.core import UserError
from kairoscope.data.labels import parse_row
from kairoscope.review.checking import Placed, faults, placed_from_json
from kairoscope.robot.legality import TaskSpec
from kairoscope.robot.naming import SignalPlan

NAMES = ("reach", "grasp", "lift")
T = 30


def placed(*frames: tuple[int, int] | None) -> list[Placed | None]:
    return [None if pair is None else Placed(start=pair[0], end=pair[1]) for pair in frames]


def is_label(events: list[Placed | None]) -> bool:
    rows = [
        {"name": name, "start_s": one.start / 10, "end_s": one.end / 10}
        for name, one in zip(NAMES, events, strict=True)
        if one is not None
    ]
    try:
        parse_row({"video": "a.mp4", "events": rows, "duration_s": T / 10}, 1)
    except UserError:
        return False
    return bool(rows)


pairs = st.none() | st.tuples(st.integers(0, T - 1), st.integers(0, T - 1))


@given(st.tuples(pairs, pairs, pairs))
def test_what_stops_saving_is_what_no_label_may_be(
    frames: tuple[tuple[int, int] | None, ...],
) -> None:
    events = placed(*frames)
    assert any(fault.stops for fault in faults(NAMES, events, T)) == (not is_label(events))


def test_each_fault_names_its_events() -> None:
    wrong = faults(NAMES, placed((0, 10), (10, 8), (4, 20)), T)
    assert [(fault.events, fault.stops) for fault in wrong if fault.stops] == [
        ((1,), True),
        ((0, 1), True),
    ]
    assert "'grasp' starts at frame 10, after its end at 8" in wrong[0].text
    soft = faults(NAMES, placed((0, 10), (6, 12), None), T)
    assert [fault.events for fault in soft] == [(0, 1), (2,)]
    assert not any(fault.stops for fault in soft)
    assert faults(NAMES, placed((0, 10), (10, 12), (12, 29)), T) == ()


def test_what_generation_cannot_start_from_is_said() -> None:
    spec = TaskSpec(name="task", signals=("one", "two"), offsets=((10, 20), (0, 0)))
    plan = SignalPlan(spec=spec, signals={"reach": "one", "grasp": "two"})
    wrong = faults(NAMES, placed((0, 5), (5, 15), (15, 25)), T, plan)
    assert [fault.events for fault in wrong] == [(0, 1)]
    assert "generation cannot start from this" in wrong[0].text
    assert not wrong[0].stops
    assert faults(NAMES, placed((0, 2), (2, 25), (25, 29)), T, plan) == ()


@pytest.mark.parametrize(
    "items",
    [
        None,
        [],
        [None, None],
        [None, None, 3],
        [None, None, {"start": 1}],
        [None, None, {"start": 1, "end": 30}],
        [None, None, {"start": -1, "end": 3}],
        [None, None, {"start": 1.5, "end": 3}],
        [None, None, {"start": True, "end": 3}],
    ],
)
def test_what_the_page_may_send(items: object) -> None:
    with pytest.raises(UserError, match="allowed"):
        placed_from_json(items, 3, T)


def test_two_arms_need_no_order_between_them() -> None:
    crossed = placed((0, 20), (0, 10), (10, 15))
    assert any(fault.stops for fault in faults(NAMES, crossed, T))
    assert faults(NAMES, crossed, T, arms=("left", "right", "right")) == ()
    (late,) = faults(NAMES, placed((0, 20), (0, 15), (15, 10)), T, arms=("left", "right", "right"))[
        :1
    ]
    assert late.stops
    (tie,) = faults(NAMES, placed((0, 15), (0, 10), (10, 15)), T, arms=("left", "right", "right"))
    assert tie.stops
    assert tie.events == (0, 2)
