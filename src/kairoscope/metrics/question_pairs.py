"""Two evaluations of the same questions: what changes in each kind, with intervals. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from kairoscope.core import Record
from kairoscope.metrics.bootstrap import Resamples
from kairoscope.metrics.by_clip import records_by_clip

ALL = "all"
TIE = 1e-9


def paired_questions(
    before: Sequence[Record], after: Sequence[Record], *, draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Over all, and per kind: means, difference with its 95 % interval, and how many questions are better
    (`win`), the same (`tie`) or worse (`loss`). Trials are averaged.

    Of questions with choices, whether they are right; of open ones alone, the overlap of words.
    """
    first, second = records_by_clip(before), records_by_clip(after)
    kinds: dict[str, list[str]] = defaultdict(list)
    shared = sorted(first.keys() & second.keys())
    for name in shared:
        kinds[second[name][0].scenario].append(name)
    found: dict[str, Any] = {"n_questions": len(shared), "kinds": {}}
    groups = {ALL: shared, **dict(sorted(kinds.items()))} if shared else {}
    for kind, names in groups.items():
        is_open = not any(second[name][0].query["choices"] for name in names)
        key = "f1" if is_open and kind != ALL else "right"
        pairs = [
            (fmean(r.scores[key] for r in first[n]), fmean(r.scores[key] for r in second[n]))
            for n in names
        ]
        steps = [new - old for old, new in pairs]
        resamples = Resamples([second[name][0].group for name in names], draws, seed)
        found["kinds"][kind] = {
            "key": key,
            "n_questions": len(names),
            "before": fmean(old for old, _ in pairs),
            "after": fmean(new for _, new in pairs),
            "difference": fmean(steps),
            "difference_ci95": resamples.mean_interval(steps),
            "win": sum(step > TIE for step in steps),
            "tie": sum(abs(step) <= TIE for step in steps),
            "loss": sum(step < -TIE for step in steps),
        }
    return found
