"""A source that is lost shows itself without labels: laws of the doubt, and what comes of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.fusion import Pool, ends_in_turn, fuse
from kairoscope.fusion.doubt import USUAL, agreement, doubting, lost_share
from kairoscope.pool_fitting import default_pool

TIMES = np.arange(200) / 20
POOL = default_pool()


def peak(at_s: float, width_s: float = 0.1, floor: float = 0.02) -> np.ndarray:
    weights = np.exp(-np.abs(TIMES - at_s) / width_s)
    return np.asarray((1 - floor) * weights / weights.sum() + floor / len(TIMES))


FLAT = np.full(len(TIMES), 1 / len(TIMES))


def test_a_flat_source_neither_agrees_nor_disagrees() -> None:
    assert agreement(TIMES, FLAT, peak(4.0)) == pytest.approx(1.0)
    assert agreement(TIMES, peak(4.0), FLAT) == pytest.approx(1.0, rel=0.02)
    assert lost_share([1.0] * 100) == pytest.approx(lost_share([]))


@settings(max_examples=50, deadline=None)
@given(st.floats(1.0, 9.0), st.floats(0.02, 0.5), st.floats(0.02, 0.5))
def test_agreement_falls_with_distance(at_s: float, one: float, other: float) -> None:
    found = [agreement(TIMES, peak(at_s + gap, one), peak(at_s, other)) for gap in (0.0, 0.4, 0.8)]
    assert found[0] > found[1] > found[2]
    assert found[0] > 1


@given(st.lists(st.floats(0.01, 50.0), max_size=30), st.floats(0.01, 0.9))
def test_one_more_disagreement_never_raises_belief(found: list[float], more: float) -> None:
    assert lost_share([*found, more]) >= lost_share(found) - 1e-9
    assert 0 < lost_share(found) < 1


@pytest.mark.parametrize("lost", [0.0, 0.3, 0.9])
def test_the_share_is_found(lost: float) -> None:
    rng = np.random.default_rng(1)
    truths = rng.uniform(1.0, 9.0, 300)
    said = np.where(rng.random(300) < lost, rng.uniform(0.5, 9.5, 300), truths)
    found = [agreement(TIMES, peak(m), peak(t)) for m, t in zip(said, truths, strict=True)]
    assert lost_share(found) == pytest.approx(lost, abs=0.08)


def test_order_does_not_matter() -> None:
    found = [0.1, 8.0, 0.02, 1.0, 12.0]
    assert lost_share(found) == pytest.approx(lost_share(found[::-1]), abs=1e-12)


def test_a_model_at_home_is_believed_as_before() -> None:
    assert doubting(POOL, {"model": USUAL}) == POOL
    assert doubting(POOL, {}) == POOL


def test_doubt_moves_fusion_to_the_other_source() -> None:
    evidence = {
        "model": {"end 1": peak(7.0, 0.05, 0.001)},
        "signals": {"end 1": peak(3.0, 0.2, 0.3)},
    }

    def fused(pool: Pool) -> float:
        return fuse(TIMES, ends_in_turn(1), evidence, pool)[0].time_s

    assert fused(doubting(POOL, {"model": 0.98})) == pytest.approx(3.0, abs=0.1)
    floors = [
        doubting(POOL, {"model": share}).mix(("model",)).trust["model"].floor
        for share in (0.0, 0.2, 0.5, 0.999)
    ]
    assert floors == sorted(floors)
    assert floors[-1] < 1
    assert doubting(POOL, {"model": 0.9}).mix(("signals",)) == POOL.mix(("signals",))
