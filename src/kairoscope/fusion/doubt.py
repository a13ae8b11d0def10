"""How often a source is lost on a dataset, without a single label: by how often it agrees. Pure.

A model that never saw a robot may be sure and wrong all the time. Nothing in one answer shows it,
but over the episodes of a dataset it meets what the signals found no more often than chance. For
every boundary of which both have something to say, the odds that they speak of the same moment

    a = P(both within 0.25 s of each other) / P(the same, if the one knew nothing)

give the share of boundaries at which they do not, e, its posterior under a Beta distribution that
was learned on other tasks: likelihood prod(e + (1 - e) a). Of the two, signals are the ones that are
believed: where they do not know, they say so, and then a is 1 and decides nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from kairoscope.fusion.combine import EXACT_S, Floats, Pool, Trust
from kairoscope.posteriors import CONFIDENT_WITHIN_S

GRID = np.linspace(0.0025, 0.9975, 200)
"""Shares at which the posterior is summed up."""
MOST_FLOOR = 0.999
USUAL = 0.05
"""A share up to this is what the pool's own floors stand for already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What is known of models on tasks in general: a Beta distribution of the share lost."""

    lost: float
    found: float
    """Counts, as if so many boundaries of the dataset had been seen lost and found already."""


DEFAULT_DOUBT = Doubt(lost=0.3, found=1.0)


def agreement(times_s: ArrayLike, one_T: Floats, other_T: Floats) -> float:
    """How much likelier it is that two sources speak of one moment than if the one knew nothing.

    Args:
        times_s: (T,) of the frames, ascending.
        one_T: (T,) distribution of the source that may be lost.
        other_T: (T,) of the one that is believed.

    Returns:
        Above 1 where they agree, below where they do not, 1 where either says nothing.
    """
    times = np.asarray(times_s, dtype=np.float64)
    first = np.searchsorted(times, times - CONFIDENT_WITHIN_S - EXACT_S, side="left")
    last = np.searchsorted(times, times + CONFIDENT_WITHIN_S + EXACT_S, side="right")
    sums = np.concatenate(([0.0], np.cumsum(one_T)))
    near = sums[last] - sums[first]
    chance = (last - first) / len(times)
    return float(other_T @ near) / float(other_T @ chance)


def lost_share(agreements: Sequence[float], doubt: Doubt = DEFAULT_DOUBT) -> float:
    """The share of boundaries at which a source is lost, 0 to 1: the mean of its posterior.

    Args:
        agreements: of every boundary of the dataset of which both sources say something.
        doubt: what is known before.
    """
    log_posterior = (doubt.lost - 1) * np.log(GRID) + (doubt.found - 1) * np.log1p(-GRID)
    for a in agreements:
        log_posterior = log_posterior + np.log(GRID + (1 - GRID) * a)
    weights = np.exp(log_posterior - log_posterior.max())
    return float(GRID @ weights / weights.sum())


def doubting(pool: Pool, shares: Mapping[str, float]) -> Pool:
    """A pool that believes these sources less: lost in more cases than its own floors say.

    Args:
        pool: what is believed of sources that are not lost.
        shares: 0 to 1, by source; the others stay as they are.
    """
    return Pool(
        {
            sources: replace(
                mix,
                trust={
                    source: _less(trust, shares.get(source, 0.0))
                    for source, trust in mix.trust.items()
                },
            )
            for sources, mix in pool.mixes.items()
        }
    )


def _less(trust: Trust, share: float) -> Trust:
    beyond = (share - USUAL) / (1 - USUAL)
    if beyond <= 0:
        return trust
    return Trust(trust.weight, min(MOST_FLOOR, 1 - (1 - trust.floor) * (1 - beyond)))
