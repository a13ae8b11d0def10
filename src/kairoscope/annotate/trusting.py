"""How far each source is believed on one dataset: by its labels, and by how sources agree."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np

from kairoscope.annotate.combining import Source
from kairoscope.annotate.examples import Example, compared, prior_for
from kairoscope.annotate.gathered import Gathered, answered
from kairoscope.annotate.sources import evidence_of
from kairoscope.fusion import Pool, ends_by_arm, speaking
from kairoscope.fusion.doubt import DEFAULT_DOUBT, Doubt, agreement, doubting, lost_share
from kairoscope.pool_fitting import Labelled, default_pool, fit_pool
from kairoscope.robot.columns import Floats

STRENGTH = 8.0
"""How firmly weights stay where they are, in clips: see docs/fusion.md."""
SIGNALS_DOUBT = Doubt(lost=0.3, found=10.0)
"""Signals that do not know say so, and are hardly ever lost."""
LOST_AFTER_CLIPS = 12.0
"""A model that was trained on k clips of a task is taken to be lost as if it had been seen so, before
anything else is known, at this / k boundaries for each at which it was not."""
LABEL_SCALE_S = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """What is believed, and why."""

    pool: Pool
    num_labelled: int
    """Labelled episodes that it was adapted to."""
    num_compared: int
    """Boundaries at which the model could be compared with signals or labels."""
    lost: Mapping[str, float]
    """Source -> share of boundaries at which it does not find what it is compared with."""
    num_learned: int = 0
    """Labelled episodes on which the model was trained, and by which it is not judged."""

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "num_labelled": self.num_labelled,
            "num_compared": self.num_compared,
            "num_learned": self.num_learned,
            "lost": {source: round(share, 4) for source, share in sorted(self.lost.items())},
            "trust": {
                " + ".join(sorted(sources)): {
                    source: {"weight": round(trust.weight, 4), "floor": round(trust.floor, 5)}
                    for source, trust in sorted(mix.trust.items())
                }
                for sources, mix in sorted(self.pool.mixes.items(), key=lambda m: sorted(m[0]))
            },
        }


def trusted(
    gathered: Gathered,
    asked: AbstractSet[str] | None,
    examples: Sequence[Example],
    learned: AbstractSet[str] = frozenset(),
    num_learned: int = 0,
) -> Trusted:
    """How far each source is believed on this dataset.

    A source is lost as often as it does not find what labels say, and the model also as often as
    it does not find what signals find. Weights are then adapted to the labels, the prior of each
    being made of the others.

    Args:
        gathered: what is known of every episode.
        asked: labelled episodes about which the model was asked; None: it was not asked at all.
        examples: the labelled episodes.
        learned: episodes on which the model was trained: what it says of these counts for nothing.
        num_learned: clips on which it was trained, elsewhere, too, where they were few.
    """
    by_signals: list[float] = []
    labelled: list[Labelled] = []
    for one in _told(gathered, asked, examples, compared(examples), learned):
        by_signals += agreements(one, "model", one.evidence.get("signals", {}))
        if one.truth_s:
            labelled.append(one)
    by_labels = {
        source: [a for one in labelled for a in agreements(one, source, _truths(one))]
        for source in ("model", "signals")
    }
    lost = {}
    if by_signals or by_labels["model"] or learned:
        doubt = after_training_on(num_learned) if learned else DEFAULT_DOUBT
        lost["model"] = lost_share([*by_signals, *by_labels["model"]], doubt)
    if by_labels["signals"]:
        lost["signals"] = lost_share(by_labels["signals"], SIGNALS_DOUBT)
    pool = doubting(default_pool(), lost)
    if labelled:
        pool = fit_pool(labelled, pool, STRENGTH)
    return Trusted(
        pool=pool,
        num_labelled=len(labelled),
        num_compared=len(by_signals) + len(by_labels["model"]),
        lost=lost,
        num_learned=len(learned),
    )


def after_training_on(num_clips: int) -> Doubt:
    """What is known of a model that has learned a few clips of the task: little, from three.

    Believing it as if it were lost in 80 % was best on four sets of others (docs/fusion.md).
    """
    lost = max(DEFAULT_DOUBT.lost, LOST_AFTER_CLIPS / max(num_clips, 1))
    return Doubt(lost=lost, found=DEFAULT_DOUBT.found)


def agreements(told: Labelled, source: Source, others: Mapping[str, Floats]) -> list[float]:
    """Of one source and what is believed, about every boundary of which both say something."""
    own = told.evidence.get(source, {})
    return [
        agreement(told.times_s, own[slot], others[slot])
        for slot in sorted(own.keys() & others.keys())
        if len(speaking({"own": own, "other": others}, slot)) == 2
    ]


def _truths(told: Labelled) -> dict[str, Floats]:
    """Labels as distributions: people place a moment within a few frames of each other."""
    found = {}
    for slot, end_s in told.truth_s.items():
        weights = np.exp(-np.abs(told.times_s - end_s) / LABEL_SCALE_S)
        found[slot] = np.asarray(weights / weights.sum())
    return found


def _told(
    gathered: Gathered,
    asked: AbstractSet[str] | None,
    examples: Sequence[Example],
    judged: AbstractSet[str],
    learned: AbstractSet[str],
) -> Iterator[Labelled]:
    """What the sources say about the episodes that they can be compared on."""
    for row, answer in answered(gathered, asked):
        if row["problem"] is not None or (answer is None and row["clip"] not in judged):
            continue
        times_s = np.asarray(row["times_s"], dtype=np.float64)
        if len(times_s) <= len(gathered.query):
            continue
        truth_s = {}
        prior: Any = []
        if row["clip"] in judged:
            truth_s = {f"end {i}": label[1] for i, label in enumerate(row["labels"], 1)}
            group = str(row["source"] or row["clip"])
            prior = prior_for(gathered.query, examples, row["clip"], group, times_s)
        evidence: dict[str, dict[str, Any]] = {}
        said = evidence_of(gathered.query, row, answer, prior, times_s)
        for place, own in enumerate(said, 1):
            for one in own:
                if one.source != "label":
                    evidence.setdefault(one.source, {})[f"end {place}"] = one.probabilities_T
        if row["clip"] in learned:
            evidence.pop("model", None)
        yield Labelled(
            times_s=times_s,
            boundaries=ends_by_arm(gathered.arms or ("",) * len(gathered.query)),
            evidence=evidence,
            truth_s=truth_s,
        )
