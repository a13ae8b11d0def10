"""What seeing the clip adds to the same model asked without it. Pure."""

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from kairoscope.core import Record
from kairoscope.metrics.bootstrap import Resamples
from kairoscope.metrics.by_clip import records_by_clip


def gain_over(
    blind: Iterable[Record], seeing: Iterable[Record], key: str, *, draws: int = 2000, seed: int = 0
) -> dict[str, Any] | None:
    """Difference of a score, seeing minus blind, over the questions that were asked both ways.

    `difference_ci95`: 95 %, resampling groups; trials are averaged. None for a key that answers have not.
    """
    first, second = records_by_clip(blind), records_by_clip(seeing)
    shared = [
        name
        for name in first
        if name in second and key in first[name][0].scores and key in second[name][0].scores
    ]
    if not shared:
        return None
    steps = [
        fmean(r.scores[key] for r in second[name]) - fmean(r.scores[key] for r in first[name])
        for name in shared
    ]
    resamples = Resamples([first[name][0].group for name in shared], draws, seed)
    return {
        "key": key,
        "n_clips": len(shared),
        "difference": fmean(steps),
        "difference_ci95": resamples.mean_interval(steps),
    }
