"""Learning how much each source is to be believed."""

from itertools import combinations

import numpy as np
import pytest

from kairoscope.calibration import reliability
from kairoscope.fusion import Pool, ends_in_turn, fuse, pooled_log
from kairoscope.pool_fitting import (
    Labelled,
    confidences_and_hits,
    default_pool,
    fit_pool,
    only,
    pool_from_json,
    pool_to_json,
    surprise_of,
)

TIMES = np.arange(120) / 20
SOURCES = ("model", "prior", "signals")


def bump(centre_s: float, width_s: float) -> np.ndarray:
    p = np.exp(-0.5 * ((TIMES - centre_s) / width_s) ** 2) + 1e-12
    return np.asarray(p / p.sum())


def clips(
    count: int,
    seed: int,
    *,
    noise_s: tuple[float, float] = (0.1, 0.6),
    said_s: tuple[float, float] = (0.1, 0.6),
    lost: float = 0.0,
) -> list[Labelled]:
    """Clips of one event: a model and a prior with these errors, and the widths that they claim.

    In a share `lost` of the clips the model names any moment.
    """
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        truth_s = float(TIMES[rng.integers(10, 110)])
        errors = rng.normal(0, noise_s)
        said = truth_s + errors
        if rng.uniform() < lost:
            said[0] = rng.uniform(0, 6)
        evidence = {
            source: {"end 1": bump(float(t), width)}
            for source, t, width in zip(("model", "prior"), said, said_s, strict=True)
        }
        made.append(
            Labelled(
                times_s=TIMES,
                boundaries=ends_in_turn(1),
                evidence=evidence,
                truth_s={"end 1": truth_s},
            )
        )
    return made


def error_s(some: list[Labelled], pool: Pool) -> float:
    return float(
        np.mean(
            [
                abs(fuse(c.times_s, c.boundaries, c.evidence, pool)[0].time_s - c.truth_s["end 1"])
                for c in some
            ]
        )
    )


def test_a_source_that_is_too_sure_gets_less_weight_than_an_honest_one() -> None:
    honest = fit_pool(model_only(clips(60, 0))).mix(["model"]).trust["model"]
    boasting = fit_pool(model_only(clips(60, 0, said_s=(0.04, 0.6)))).mix(["model"]).trust["model"]
    assert 0.65 < honest.weight < 1.6
    assert boasting.weight < 0.6 * honest.weight


def model_only(some: list[Labelled]) -> list[Labelled]:
    return [only(clip, ["model"]) for clip in some]


def test_what_a_source_says_is_doubted_as_often_as_it_is_lost() -> None:
    doubts = []
    for lost in (0.0, 0.4):
        some = model_only(clips(80, 0, lost=lost))
        mix = fit_pool(some).mix(["model"])
        log_T = pooled_log({"model": some[0].evidence["model"]["end 1"]}, mix)
        p = np.exp(log_T - log_T.max())
        doubts.append(len(p) * float(p.min() / p.sum()))
    assert doubts[0] < 0.1
    assert doubts[1] == pytest.approx(0.4, abs=0.15)


@pytest.mark.parametrize("lost", [0.0, 0.4])
def test_fused_is_no_worse_than_the_best_single_source_elsewhere(lost: float) -> None:
    pool = fit_pool(clips(80, 0, lost=lost, noise_s=(0.3, 0.4), said_s=(0.3, 0.4)))
    held_out = clips(150, 1, lost=lost, noise_s=(0.3, 0.4), said_s=(0.3, 0.4))
    fused = error_s(held_out, pool)
    single = min(error_s([only(c, [s]) for c in held_out], pool) for s in ("model", "prior"))
    assert fused < single


def test_confidences_come_true_elsewhere() -> None:
    pool = fit_pool(clips(60, 0, said_s=(0.03, 0.1)))
    said, came = confidences_and_hits(clips(300, 1, said_s=(0.03, 0.1)), pool)
    assert reliability(said, came).error < 0.08


def test_a_few_clips_of_one_s_own_teach_that_the_model_is_lost_there() -> None:
    pool = fit_pool(clips(80, 0))
    elsewhere = clips(40, 2, lost=1.0)
    adapted = fit_pool(elsewhere[:3], pool)
    assert error_s(elsewhere[3:], adapted) < error_s(elsewhere[3:], pool)
    assert np.mean([surprise_of(c, adapted) for c in elsewhere[3:]]) < np.mean(
        [surprise_of(c, pool) for c in elsewhere[3:]]
    )


def test_a_firm_belief_does_not_move_and_no_clips_change_nothing() -> None:
    pool = fit_pool(clips(20, 0))
    firm = fit_pool(clips(3, 1, lost=1.0), pool, strength=1e9)
    assert [m.trust for m in firm.mixes.values()] == [m.trust for m in pool.mixes.values()]
    assert fit_pool([], pool) == pool
    with pytest.raises(ValueError, match="nothing to learn from"):
        fit_pool([])


def test_learning_is_the_same_twice_and_whatever_the_order_of_sources() -> None:
    some = clips(15, 0)
    turned = [only(clip, sorted(clip.evidence, reverse=True)) for clip in some]
    assert fit_pool(some) == fit_pool(some) == fit_pool(turned)


def test_a_pool_survives_its_file() -> None:
    again = pool_from_json(pool_to_json(default_pool()))
    assert again == default_pool()


def test_the_shipped_pool_knows_every_combination() -> None:
    for count in range(4):
        for names in combinations(SOURCES, count):
            assert set(default_pool().mix(names).trust) == set(names)
