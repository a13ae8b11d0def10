"""The leave-one-family-out benchmark on families made up here: it finds the lost model, and says what it cost."""

import sys
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]
if str(REPOSITORY) not in sys.path:
    sys.path.append(str(REPOSITORY))  # `benchmarks` is not installed with the package

from benchmarks.fusion_families import Case, learned, result, without  # noqa: E402
from benchmarks.prior_curve import chosen, judged  # noqa: E402

from kairoscope.events import Event  # noqa: E402
from kairoscope.fusion import ends_in_turn  # noqa: E402
from kairoscope.fusion.doubt import lost_share  # noqa: E402
from kairoscope.pool_fitting import Labelled  # noqa: E402
from kairoscope.prior import Demonstration  # noqa: E402

TIMES_S = np.arange(120) / 15


def peak(at_s: float, width_s: float, floor: float) -> np.ndarray:
    weights = np.exp(-np.abs(TIMES_S - at_s) / width_s)
    return np.asarray((1 - floor) * weights / weights.sum() + floor / len(TIMES_S))


def case(family: str, *, lost: bool) -> Case:
    rng = np.random.default_rng(len(family))
    clips = []
    for _ in range(8):
        truth_s = np.sort(rng.uniform(1, 7, 2))
        said_s = np.sort(rng.uniform(1, 7, 2)) if lost else truth_s + rng.normal(0, 0.1, 2)
        seen_s = truth_s + rng.normal(0, 0.15, 2)
        slots = ("end 1", "end 2")
        clips.append(
            Labelled(
                times_s=TIMES_S,
                boundaries=ends_in_turn(2),
                evidence={
                    "model": {s: peak(t, 0.1, 0.01) for s, t in zip(slots, said_s, strict=True)},
                    "signals": {s: peak(t, 0.2, 0.1) for s, t in zip(slots, seen_s, strict=True)},
                },
                truth_s=dict(zip(slots, truth_s.tolist(), strict=True)),
            )
        )
    return Case("some model", family, tuple(clips))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case("one", lost=False), case("three", lost=False), case("strange", lost=True)]


def test_a_family_is_left_out_of_what_is_learned_for_it(cases: list[Case]) -> None:
    assert {c.family for c in without(cases, "one")} == {"three", "strange"}
    pool, _ = learned(without(cases, "strange"))
    assert frozenset({"model", "signals"}) in pool.mixes


def test_the_lost_model_is_found_and_costs_nothing(cases: list[Case]) -> None:
    assert lost_share(cases[0].agreements()) < 0.2
    assert lost_share(cases[2].agreements()) > 0.6
    found = {row["family"]: row for row in result(cases).data["cases"]}
    strange = found["strange"]
    assert strange["fused"] < strange["fused_without_doubt"]
    assert strange["fused"] < strange["signals"] + 0.1 < strange["model"]
    assert result(cases).goals[0].value == 0


def test_the_chosen_demonstrations_are_not_judged() -> None:
    demos = [
        Demonstration(
            id=str(i), group=str(i), scenario="", query=("a",), gold=(Event("a", None, float(t)),)
        )
        for i, t in enumerate((1.0, 2.0, 2.1, 2.2, 6.0))
    ]
    pairs = chosen(demos, 1)
    assert {demo.id for demo, _ in pairs} == {"0", "1", "3", "4"}  # the middle one is the example
    assert all([one.id for one in examples] == ["2"] for _, examples in pairs)
    assert judged(pairs).error_s == pytest.approx((1.1 + 0.1 + 0.1 + 3.9) / 4)
