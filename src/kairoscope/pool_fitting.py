"""How much each source is to be believed: learned on clips whose boundaries are known. Pure.

Weights and floors are those under which the true boundaries are likeliest after fusion, for every
combination of sources by itself.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from itertools import combinations, product
from typing import Any

import numpy as np

from kairoscope.calibration import Calibration, fit_calibration
from kairoscope.fusion import Boundary, Evidence, Floats, Mix, Pool, Trust, fuse, marginals
from kairoscope.posteriors import CONFIDENT_WITHIN_S

DEFAULTS = "fusion_defaults.json"
START = Trust(weight=0.8, floor=0.02)
CALIBRATION_STRENGTH = 16.0
"""Of the values tried (4, 16, 64) the best for three examples of one's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A clip whose boundaries are known, and what each source says about it."""

    times_s: Floats
    boundaries: tuple[Boundary, ...]
    evidence: Evidence
    truth_s: Mapping[str, float]
    """By slot, as far as known."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Of the events, by slot, as far as anybody asks."""


@cache
def default_pool() -> Pool:
    """The pool that is shipped; its file says what it was learned on."""
    text = files("kairoscope").joinpath(DEFAULTS).read_text("utf-8")
    return pool_from_json(json.loads(text)["mixes"])


def pool_to_json(pool: Pool) -> dict[str, Any]:
    """Plain data for a file, a mix a combination."""
    return {
        "+".join(sorted(sources)): {
            "trust": {
                source: [round(trust.weight, 4), round(trust.floor, 5)]
                for source, trust in sorted(mix.trust.items())
            },
            "calibration": [round(mix.calibration.slope, 4), round(mix.calibration.offset, 4)],
        }
        for sources, mix in sorted(pool.mixes.items(), key=lambda item: sorted(item[0]))
    }


def pool_from_json(rows: Mapping[str, Any]) -> Pool:
    """A pool written by `pool_to_json`."""
    return Pool(
        {
            frozenset(name.split("+")): Mix(
                trust={source: Trust(*entry) for source, entry in row["trust"].items()},
                calibration=Calibration(*row["calibration"]),
            )
            for name, row in rows.items()
        }
    )


def fit_pool(clips: Sequence[Labelled], start: Pool | None = None, strength: float = 1.0) -> Pool:
    """Learn a mix for every combination of the sources that labelled clips have.

    Args:
        clips: held-out ones: nothing that a source was trained or made from. Each counts alike.
        start: what is believed so far, such as `default_pool()` for a few clips of one's own;
            None: nothing. Combinations that the clips do not have stay as they are there.
        strength: how firmly; the logarithms of weights and odds of floors are pulled to `start`
            as by this many clips that would be worse by 1/2 a nat a unit.

    Raises:
        ValueError: neither clips nor a start.
    """
    if not clips and start is None:
        raise ValueError("nothing to learn from, and nothing known before")
    mixes = {} if start is None else dict(start.mixes)
    sources = sorted({source for clip in clips for source in clip.evidence})
    # From few sources to many: a source that is left out must have a mix to be left out of.
    for count in range(1, len(sources) + 1):
        for names in combinations(sources, count):
            shown = [only(clip, names) for clip in clips if set(names) <= set(clip.evidence)]
            if shown:
                key = frozenset(names)
                mixes[key] = _fit_mix(shown, key, mixes, strength)
    return Pool(mixes)


def only(clip: Labelled, sources: Iterable[str]) -> Labelled:
    """A clip with some of its sources."""
    return replace(clip, evidence={name: clip.evidence[name] for name in sources})


def _fit_mix(
    clips: Sequence[Labelled],
    sources: frozenset[str],
    mixes: Mapping[frozenset[str], Mix],
    strength: float,
) -> Mix:
    """The mix of one combination; the others stay as they are."""
    names = sorted(sources)
    before = mixes.get(sources)
    centre = np.array([_coded(START if before is None else before.trust[n]) for n in names])

    def pool_of(theta: Floats, calibration: Calibration) -> Pool:
        trust = {name: _trust(*row) for name, row in zip(names, theta, strict=True)}
        return Pool({**mixes, sources: Mix(trust=trust, calibration=calibration)})

    def loss(theta: Floats) -> float:
        pool = pool_of(theta, Calibration())
        surprise = sum(surprise_of(clip, pool) for clip in clips)
        return surprise + 0.5 * strength * float(np.sum((theta - centre) ** 2))

    theta = _search(loss, centre)
    known = Calibration() if before is None else before.calibration
    said, came = confidences_and_hits(clips, pool_of(theta, known))
    if not said:
        return pool_of(theta, known).mixes[sources]
    # Few clips say too little to draw the curve anew: theirs comes on top of what is known.
    own = fit_calibration(said, came, strength=CALIBRATION_STRENGTH)
    return pool_of(theta, _joined(known, own)).mixes[sources]


def _joined(first: Calibration, then: Calibration) -> Calibration:
    """One curve after another."""
    return Calibration(first.slope * then.slope, first.offset * then.slope + then.offset)


def _coded(trust: Trust) -> tuple[float, float]:
    return math.log(trust.weight), math.log(trust.floor / (1 - trust.floor))


def _trust(log_weight: float, floor_logit: float) -> Trust:
    logit = min(6.0, max(-9.0, float(floor_logit)))
    return Trust(math.exp(min(1.5, max(-4.0, float(log_weight)))), 1 / (1 + math.exp(-logit)))


def surprise_of(clip: Labelled, pool: Pool) -> float:
    """Mean -log probability, over the known boundaries, of the true frame or one beside it."""
    fused_BT = marginals(clip.times_s, clip.boundaries, clip.evidence, pool)
    losses = []
    for i, boundary in enumerate(clip.boundaries):
        truth_s = clip.truth_s.get(boundary.slot)
        if truth_s is not None:
            k = int(np.argmin(np.abs(clip.times_s - truth_s)))
            losses.append(-math.log(float(fused_BT[i, max(0, k - 1) : k + 2].sum()) + 1e-12))
    return float(np.mean(losses)) if losses else 0.0


def confidences_and_hits(clips: Sequence[Labelled], pool: Pool) -> tuple[list[float], list[bool]]:
    """Confidence of every known boundary, and whether it was within 0.25 s."""
    said: list[float] = []
    came: list[bool] = []
    for clip in clips:
        for fused in fuse(clip.times_s, clip.boundaries, clip.evidence, pool):
            if fused.slot in clip.truth_s:
                said.append(fused.confidence)
                error_s = abs(fused.time_s - clip.truth_s[fused.slot])
                came.append(error_s <= CONFIDENT_WITHIN_S + 1e-6)
    return said, came


def _search(loss: Callable[[Floats], float], start: Floats) -> Floats:
    """Pattern search over (sources, 2): weights, floors and both at once, in ever smaller steps.

    Both at once because they can stand in for each other: a source that is often lost is about as
    likely with a low weight as with a high floor. Deterministic.
    """
    theta, best, step = start.copy(), loss(start), 0.8
    while step > 0.06:
        improved = False
        for source, way in product(range(len(theta)), _WAYS):
            tried = theta.copy()
            tried[source] += step * np.array(way)
            value = loss(tried)
            if value < best - 1e-6:
                theta, best, improved = tried, value, True
        if not improved:
            step /= 2
    return theta


_WAYS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.5, 1), (-0.5, -1))
