import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kairoscope.core import UserError
from kairoscope.robot.legality import SPECS, TaskSpec, nearest_legal, spec_for, violations


def generation_can_start(ends: Any, spec: TaskSpec, length: int) -> bool:
    """What the readers demand, played through: signals, transitions, every extreme offset."""
    previous = 0
    read = []
    for end in ends:
        signal = [int(frame >= end - 1) for frame in range(length)]
        rises = [t for t in range(1, length) if signal[t] != signal[t - 1] and t >= previous]
        if not rises:
            return False
        previous = rises[0] + 1
        read.append(previous)
    if tuple(read) != tuple(ends):
        return False
    for offsets in itertools.product(*spec.offsets):
        moved = [0, *(e + o for e, o in zip(ends, offsets, strict=True)), length]
        if any(b <= a for a, b in itertools.pairwise(moved)):
            return False
    return True


def small_specs() -> Iterator[TaskSpec]:
    ranges = [(0, 0), (1, 3), (-2, 1)]
    for count in (1, 2):
        for offsets in itertools.product(ranges, repeat=count):
            yield TaskSpec(name="small", signals=("a", "b")[:count], offsets=offsets)


@pytest.mark.parametrize("spec", list(small_specs()), ids=lambda spec: str(spec.offsets))
def test_legal_is_what_generation_can_start_from_and_the_nearest_is_the_nearest(
    spec: TaskSpec,
) -> None:
    length = 9
    legal = []
    candidates = list(itertools.product(range(-1, length + 2), repeat=len(spec.signals)))
    for ends in candidates:
        says = violations(ends, spec, length)
        assert (not says) == generation_can_start(ends, spec, length), (ends, says)
        if not says:
            legal.append(ends)
    if not legal:
        assert nearest_legal((4, 6)[: len(spec.signals)], spec, length) is None
        return
    rng = np.random.default_rng(0)
    for ends in candidates[:: 7 if len(spec.signals) > 1 else 1]:
        for weights in (None, tuple(rng.uniform(0.1, 1, len(ends)))):
            nearest = nearest_legal(ends, spec, length, weights)
            assert nearest is not None
            assert violations(nearest, spec, length) == []

            def cost(other: Any, ends: Any = ends, weights: Any = weights) -> float:
                rows = zip(other, ends, weights or (1,) * len(ends), strict=True)
                return float(sum(w * (a - b) ** 2 for a, b, w in rows))

            assert cost(nearest) == pytest.approx(min(map(cost, legal)))


def test_legal_ends_are_their_own_nearest() -> None:
    ends = (40, 80, 130)
    assert nearest_legal(ends, SPECS["stack_three"], 200) == ends


def test_of_two_that_collide_the_surer_one_moves_less() -> None:
    spec = SPECS["stack_three"]
    alike = nearest_legal((50, 50, 120), spec, 200)
    sure = nearest_legal((50, 50, 120), spec, 200, weights=(100.0, 1.0, 1.0))
    assert alike is not None
    assert sure is not None
    assert abs(sure[0] - 50) < abs(alike[0] - 50)
    assert sure[1] - sure[0] == alike[1] - alike[0] == 11


def test_none_where_the_demonstration_is_too_short() -> None:
    assert nearest_legal((5, 6, 7), SPECS["stack_three"], 30) is None
    assert violations((5, 6, 7), SPECS["stack_three"], 30)


def test_violations_name_the_signal_and_the_numbers() -> None:
    (reason,) = violations((50, 55, 120), SPECS["stack_three"], 200)
    assert "'grasp_1' ends at 50" in reason
    assert "50 + 20 must be less than 55 + 10" in reason
    (reason,) = violations((185,), SPECS["stack"], 200)
    assert "the last subtask" in reason
    assert violations((), SPECS["stack"], 200) == ["0 ends for the 1 signals of stack"]


def test_a_task_of_one_subtask_has_nothing_to_check() -> None:
    spec = TaskSpec(name="push", signals=(), offsets=())
    assert violations((), spec, 10) == []
    assert nearest_legal((), spec, 10) == ()


def test_specs_say_what_the_core_configurations_say() -> None:
    assert SPECS["nut_assembly"].signals == (
        "grasp_square_nut",
        "insert_square_nut",
        "grasp_round_nut",
    )
    assert SPECS["three_piece_assembly"].signals == ("grasp_1", "insert_1", "grasp_2")
    assert SPECS["stack_three"].signals == ("grasp_1", "stack_1", "grasp_2")
    for name in ("stack", "square", "threading", "coffee"):
        assert SPECS[name].signals == ("grasp",)
    slow = {"threading", "coffee", "three_piece_assembly", "coffee_preparation"}
    for name, spec in SPECS.items():
        if name != "pick_place":
            assert set(spec.offsets) == {(5, 10) if name in slow else (10, 20)}
    pick = SPECS["pick_place"]
    assert pick.signals[:3] == ("grasp_milk", "place_milk", "grasp_cereal")
    assert pick.signals[-1] == "grasp_can"
    assert pick.offsets[:2] == ((10, 20), (0, 0))
    assert len(pick.signals) == len(pick.offsets) == 7


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ("Stack_D1", "stack"),
        ("MG_StackThree", "stack_three"),
        ("NutAssemblySquare", "square"),
        ("MugCleanup_O2", "mug_cleanup"),
        ("ThreePieceAssembly_D0", "three_piece_assembly"),
        ("PickPlace_D0", "pick_place"),
        ("Isaac-Stack-Cube-Franka-IK-Rel-v0", "stack_cube"),
        ("IsaacContrib-Stack-Cube-Bin-Franka-IK-Rel-Mimic", "stack_cube"),
        ("Isaac-Stack-Cube-Galbot-Left-Arm-v0", None),
        ("PickPlaceCan", None),
        ("", None),
    ],
)
def test_spec_of_an_environment(environment: str, name: str) -> None:
    found = spec_for(environment)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("signals", "offsets", "said"),
    [
        (("a", "a"), ((0, 0), (0, 0)), "named twice"),
        (("a", "b"), ((0, 0),), "as many offset ranges"),
        (("a",), ((5, 2),), "5 to 2"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(
    signals: Any, offsets: Any, said: str | None
) -> None:
    with pytest.raises(UserError, match=said):
        TaskSpec(name="odd", signals=signals, offsets=offsets)
