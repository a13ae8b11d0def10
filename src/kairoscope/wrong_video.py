"""Which other clip each question is asked about, to see what is answered without looking. Pure."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

from kairoscope.core import Sample

AnySample = TypeVar("AnySample", bound=Sample[Any, Any])


def wrong_clips(samples: Sequence[AnySample]) -> dict[str, AnySample]:
    """For each sample id another sample of the same scenario and another group.

    Every clip is used once where no group holds more than half of its scenario's clips. The
    pairing follows from the samples' ids and groups, not from their order; a sample whose group
    is the only one of its scenario gets no partner.
    """
    scenarios: dict[str, list[AnySample]] = defaultdict(list)
    for sample in samples:
        scenarios[sample.scenario].append(sample)
    pairs: dict[str, AnySample] = {}
    for members in scenarios.values():
        # By digest: neighbours in the alphabet are often neighbours in time, hence alike.
        ring = sorted(members, key=lambda s: (_digest(s.group), s.group, _digest(s.id), s.id))
        # Groups lie together on the ring: a step as long as the longest leads out of each.
        step = max(Counter(sample.group for sample in ring).values())
        for place, sample in enumerate(ring):
            onward = (ring[(place + step + i) % len(ring)] for i in range(len(ring)))
            other = next((clip for clip in onward if clip.group != sample.group), None)
            if other is not None:
                pairs[sample.id] = other
    return pairs


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
