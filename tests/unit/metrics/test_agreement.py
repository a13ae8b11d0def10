"""Correlations, kappa and detection against independent computations, weighted and not."""

import random
import statistics

import numpy as np
import pytest

from kairoscope.metrics import agreement

ONE = np.ones((1, 60))


def drawn(seed: int) -> tuple[list[float], list[float]]:
    rng = random.Random(seed)
    true = [float(rng.randint(1, 5)) for _ in range(60)]
    given = [min(5.0, max(1.0, t + rng.choice((-2, -1, 0, 0, 0, 1)))) for t in true]
    return given, true


def ranks(values: list[float]) -> list[float]:
    """Places in the sorted list, those of equal values averaged."""
    ordered = sorted(values)
    return [
        statistics.fmean(place for place, other in enumerate(ordered) if other == value)
        for value in values
    ]


@pytest.mark.parametrize("seed", range(5))
def test_correlations_are_those_of_the_standard_library(seed: int) -> None:
    given, true = drawn(seed)
    x, y = np.array(given), np.array(true)
    assert agreement.pearson(x, y, ONE)[0] == pytest.approx(statistics.correlation(given, true))
    ranked = statistics.correlation(ranks(given), ranks(true))
    assert agreement.spearman(x, y, ONE)[0] == pytest.approx(ranked)


def plain_kappa(given: list[float], true: list[float]) -> float:
    """Quadratic kappa by pairs: observed squared differences over those of all pairings."""
    n = len(given)
    observed = sum((g - t) ** 2 for g, t in zip(given, true, strict=True)) / n
    chance = sum((g - t) ** 2 for g in given for t in true) / n**2
    return 1 - observed / chance


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_its_definition_by_pairs(seed: int) -> None:
    given, true = drawn(seed)
    table = agreement.confusion(np.array(given), np.array(true), ONE, 5)
    assert table.sum() == 60
    assert agreement.quadratic_kappa(table)[0] == pytest.approx(plain_kappa(given, true))


@pytest.mark.parametrize("seed", range(3))
def test_a_weight_is_so_many_repetitions(seed: int) -> None:
    given, true = drawn(seed)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, size=(7, 60)).astype(float)
    x, y = np.array(given), np.array(true)
    for figure in (agreement.pearson, agreement.spearman):
        for draw, row in enumerate(weights):
            often = np.repeat(np.arange(60), row.astype(int))
            plain = figure(x[often], y[often], np.ones((1, len(often))))[0]
            assert figure(x, y, weights)[draw] == pytest.approx(plain)
    good = agreement.detection(x >= 4, y >= 4, weights)
    for draw, row in enumerate(weights):
        often = np.repeat(np.arange(60), row.astype(int))
        hits = sum(x[often] >= 4) and sum((x[often] >= 4) & (y[often] >= 4))
        assert good["precision"][draw] == pytest.approx(hits / sum(x[often] >= 4))
        assert good["recall"][draw] == pytest.approx(hits / sum(y[often] >= 4))
        precision, recall = good["precision"][draw], good["recall"][draw]
        assert good["f1"][draw] == pytest.approx(2 * precision * recall / (precision + recall))


def test_one_answer_for_all_agrees_with_nothing() -> None:
    _, true = drawn(0)
    same, y = np.full(60, 4.0), np.array(true)
    assert agreement.pearson(same, y, ONE)[0] == 0
    assert agreement.spearman(same, y, ONE)[0] == 0
    assert agreement.quadratic_kappa(agreement.confusion(same, y, ONE, 5))[0] == pytest.approx(0)
    assert np.isnan(agreement.pearson(y, same, ONE)[0])
    assert np.isnan(agreement.quadratic_kappa(agreement.confusion(y, same, ONE, 5))[0])
