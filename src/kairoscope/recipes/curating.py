"""Curation: which clips and labels are used, and on which side of the split they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from kairoscope.core import Sample
from kairoscope.curate import curate, decoded
from kairoscope.curation import ClipFacts, Curation
from kairoscope.data.clips import hash_clip
from kairoscope.data.rows import Problem
from kairoscope.recipes.stages import Progress

AnySample = Sample[Any, Any]


def curate_stage(
    samples: Sequence[AnySample],
    problems: Sequence[Problem],
    *,
    holdout: float,
    seed: int,
    on_progress: Progress,
    known: Mapping[str, Any] | None = None,
) -> Curation[AnySample]:
    """Check every clip and label, and split training data by group.

    `known` is the manifest of an earlier curation: clips whose bytes are in it are not decoded again.
    """
    done = 0
    facts = {row["sha256"]: row for row in known["clips"]} if known else {}

    def count(_: str) -> None:
        nonlocal done
        done += 1
        on_progress("checking clips and labels", done, len(samples))

    def check(video: Path) -> ClipFacts:
        row = facts.get(hash_clip(video)) if facts else None
        return decoded(video) if row is None else _KnownClip(**{k: row[k] for k in _FACTS})

    return curate(
        samples,
        problems=problems,
        check_clip=check,
        holdout=holdout,
        seed=seed,
        on_clip=count,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _KnownClip:
    """What an earlier curation found out about a clip; see `curate.ClipFacts`."""

    duration_s: float
    num_frames: int
    width: int
    height: int
    codec: str


_FACTS = tuple(field.name for field in fields(_KnownClip))
