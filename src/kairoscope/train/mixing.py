"""How often each sample comes an epoch: several datasets with weights, labels balanced. Pure.

Samples fall into strata, each of which gives a fixed number of samples to every epoch. A stratum that
gives less than it has takes others the next time, one that gives more repeats some: over any number of
epochs its samples have come equally often, give or take one.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from kairoscope.core import Sample

Balance = Literal["none", "up", "down"]
LONGEST_LABEL = 40
"""Characters of a text that may be a label; a longer one is an answer of its own."""
UNEVEN = 3
"""From this ratio of the commonest label to the rarest on, it is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Samples that take turns."""

    name: str
    """Data set and label, as far as there are several."""
    indices: tuple[int, ...]
    """Of the samples, ascending."""
    per_epoch: int
    """How many of them every epoch has; more than there are repeats some."""


Strata = tuple[Stratum, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Where samples come from, and how much of each source an epoch takes."""

    source_of: Mapping[str, str] = field(default_factory=dict)
    """Sample id -> name of its source; samples that are not in it share one."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Source -> how often each of its samples comes an epoch; 1 where it is not in it."""


def label_of(sample: Sample[Any, Any]) -> str:
    """What is balanced: the answer where it is one of a few (a word or two, a number), else the task."""
    gold = sample.gold
    few = isinstance(gold, int) or (isinstance(gold, str) and len(gold) <= LONGEST_LABEL)
    return str(gold) if few else sample.scenario


def label_counts(samples: Sequence[Sample[Any, Any]]) -> dict[str, int]:
    """Label -> number of samples, the commonest first."""
    counts = Counter(map(label_of, samples))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def balance_advice(counts: Mapping[str, int], balance: Balance) -> str | None:
    """What to say about labels of very different frequency; None where nothing needs to be said."""
    if balance != "none" or not counts or max(counts.values()) < UNEVEN * min(counts.values()):
        return None
    common, rare = max(counts, key=lambda k: counts[k]), min(counts, key=lambda k: counts[k])
    return (
        f"labels are uneven: {common} comes {counts[common]} times, {rare} {counts[rare]} times; "
        "balance = up (or down) lets each come equally often"
    )


def everything(num_samples: int) -> Strata:
    """Every sample once an epoch."""
    return (Stratum(name="", indices=tuple(range(num_samples)), per_epoch=num_samples),)


def strata_of(
    samples: Sequence[Sample[Any, Any]], balance: Balance = "none", mix: Mix | None = None
) -> Strata:
    """Who comes how often.

    Args:
        samples: what is trained on.
        balance: within every source: `up` lets each label come as often as its commonest one,
            `down` as its rarest.
        mix: sources and their weights.
    """
    mix = mix or Mix()
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        label = label_of(sample) if balance != "none" else ""
        members[mix.source_of.get(sample.id, ""), label].append(index)
    strata = []
    for (source, label), indices in sorted(members.items()):
        sizes = [len(found) for (other, _), found in members.items() if other == source]
        target = {"none": len(indices), "up": max(sizes), "down": min(sizes)}[balance]
        weight = mix.weights.get(source, 1.0)
        strata.append(
            Stratum(
                name=": ".join(filter(None, (source, label))),
                indices=tuple(indices),
                per_epoch=max(1, round(weight * target)),
            )
        )
    return tuple(strata)


def epoch_size(strata: Strata) -> int:
    """Samples of an epoch, repetitions included."""
    return sum(stratum.per_epoch for stratum in strata)


@lru_cache(maxsize=4)
def epoch_order(strata: Strata, seed: int, epoch: int) -> tuple[int, ...]:
    """Indices of the samples of an epoch, in the order in which they come."""
    order = sorted(index for stratum in strata for index in _turn(stratum, seed, epoch))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return tuple(order)


def _turn(stratum: Stratum, seed: int, epoch: int) -> list[int]:
    """What a stratum gives to an epoch: all of it as often as that goes, and some of it once more.

    Those some are the next stretch of an endless row of shuffled rounds.
    """
    size = len(stratum.indices)
    times, some = divmod(stratum.per_epoch, size)
    number, offset = divmod(epoch * some, size)
    row: list[int] = []
    while len(row) < offset + some:
        shuffled = list(stratum.indices)
        random.Random(f"{seed}/{stratum.name}/{number}").shuffle(shuffled)
        row += shuffled
        number += 1
    return [*stratum.indices * times, *row[offset : offset + some]]


def batch_indices(strata: Strata, seed: int, batch_size: int, step: int) -> list[int]:
    """Indices of the samples of optimiser step `step`; each epoch has its own order.

    A batch may run over the end of an epoch, so that every batch has `batch_size` samples.
    """
    size = epoch_size(strata)
    indices: list[int] = []
    place = step * batch_size
    while len(indices) < batch_size:
        epoch, offset = divmod(place + len(indices), size)
        order = epoch_order(strata, seed, epoch)
        indices += order[offset : offset + batch_size - len(indices)]
    return indices
