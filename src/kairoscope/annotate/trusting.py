"""How far each source is believed on one dataset: by its labels, and by how sources agree."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np

from kairoscope.annotate.examples import Example, compared, prior_for
from kairoscope.annotate.gathered import Gathered, answered
from kairoscope.annotate.sources import evidence_of
from kairoscope.fusion import Pool, ends_by_arm, speaking
from kairoscope.fusion.doubt import agreement, doubting, lost_share
from kairoscope.pool_fitting import Labelled, default_pool, fit_pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """What is believed, and why."""

    pool: Pool
    num_labelled: int
    """Labelled episodes that it was adapted to."""
    num_compared: int
    """Boundaries of which signals and model both say something."""
    lost: float | None
    """Share of them at which the model is lost, as far as known without labels."""

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "num_labelled": self.num_labelled,
            "num_compared": self.num_compared,
            "model_lost": None if self.lost is None else round(self.lost, 4),
            "trust": {
                " + ".join(sorted(sources)): {
                    source: {"weight": round(trust.weight, 4), "floor": round(trust.floor, 5)}
                    for source, trust in sorted(mix.trust.items())
                }
                for sources, mix in sorted(self.pool.mixes.items(), key=lambda m: sorted(m[0]))
            },
        }


def trusted(
    gathered: Gathered, asked: AbstractSet[str] | None, examples: Sequence[Example]
) -> Trusted:
    """How far each source is believed on this dataset.

    Args:
        gathered: what is known of every episode.
        asked: labelled episodes by which sources are judged; None: the model was not asked.
        examples: the labelled episodes.
    """
    judged = compared(examples)
    agreements: list[float] = []
    labelled: list[Labelled] = []
    for one in _told(gathered, asked, examples, judged):
        agreements += _agreements(one)
        if one.truth_s:
            labelled.append(one)
    lost = lost_share(agreements) if agreements else None
    pool = default_pool() if lost is None else doubting(default_pool(), {"model": lost})
    if labelled:
        pool = fit_pool(labelled, pool)
    return Trusted(pool=pool, num_labelled=len(labelled), num_compared=len(agreements), lost=lost)


def _agreements(told: Labelled) -> list[float]:
    """Of model and signals, about every boundary of which both say something."""
    signals, model = (told.evidence.get(source, {}) for source in ("signals", "model"))
    both = {"signals": signals, "model": model}
    return [
        agreement(told.times_s, model[slot], signals[slot])
        for slot in sorted(signals.keys() & model.keys())
        if len(speaking(both, slot)) == 2
    ]


def _told(
    gathered: Gathered,
    asked: AbstractSet[str] | None,
    examples: Sequence[Example],
    judged: AbstractSet[str],
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
        yield Labelled(
            times_s=times_s,
            boundaries=ends_by_arm(gathered.arms or ("",) * len(gathered.query)),
            evidence=evidence,
            truth_s=truth_s,
        )
