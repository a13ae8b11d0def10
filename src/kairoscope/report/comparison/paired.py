"""The difference between two runs over the clips that both have. Pure.

Both models saw the same clips, so the difference is taken clip by clip: what makes a clip hard for
both drops out, and the interval is narrower than those of the two means suggest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from kairoscope.core import Record
from kairoscope.metrics.bootstrap import Resamples
from kairoscope.metrics.clips import ClipRow, clip_rows
from kairoscope.report.figures import KINDS, FigureKind, Interval

DRAWS = 2000
Verdict = Literal["better", "worse", "not shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure of two runs over the same clips."""

    kind: FigureKind
    before: float
    after: float
    difference: float
    """`after - before`."""
    interval: Interval | None
    """95 %, resampling groups; None for fewer than two groups."""
    num_clips: int

    @property
    def verdict(self) -> Verdict:
        """Whether the interval leaves zero out, and on which side."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "not shown"
        return "better" if (self.difference < 0) == (self.kind.better == "lower") else "worse"

    @property
    def share(self) -> float | None:
        """The difference as a share of `before`; None where that is 0."""
        return self.difference / self.before if self.before else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScores:
    """The scores of one clip in one run, averaged over its trials."""

    group: str
    scenario: str
    columns: Mapping[str, float | None]


def clip_scores(records: Sequence[Record]) -> dict[str, ClipScores]:
    """Sample id -> its scores, for records with a gold answer."""
    return {row.clip.id: _scores(row) for row in clip_rows(records)}


def _scores(row: ClipRow) -> ClipScores:
    return ClipScores(group=row.clip.group, scenario=row.clip.scenario, columns=row.columns)


def differences(
    before: Mapping[str, ClipScores], after: Mapping[str, ClipScores]
) -> list[Difference]:
    """Every figure of two runs over the clips that both have, in the order of the tables.

    A figure that no shared clip has is left out; without a shared clip there is none.
    """
    shared = sorted(before.keys() & after.keys())
    found = []
    for kind in KINDS:
        pairs = []
        for clip in shared:
            old, new = before[clip].columns[kind.score], after[clip].columns[kind.score]
            if old is not None and new is not None:
                pairs.append((before[clip].group, old, new))
        if pairs:
            found.append(_difference(kind, pairs))
    return found


def _difference(kind: FigureKind, pairs: Sequence[tuple[str, float, float]]) -> Difference:
    resamples = Resamples([group for group, _, _ in pairs], DRAWS, seed=0)
    steps = [new - old for _, old, new in pairs]
    ends = resamples.mean_interval(steps)
    return Difference(
        kind=kind,
        before=fmean(old for _, old, _ in pairs),
        after=fmean(new for _, _, new in pairs),
        difference=fmean(steps),
        interval=None if ends is None else (ends[0], ends[1]),
        num_clips=len(pairs),
    )
