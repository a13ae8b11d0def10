"""Without a label: is fusing ever worse than the best single source, on a family that nothing was learned on?

    python -m benchmarks.fusion_families [NAME:]CLIPS=RUN … [--g1 DATA=RUN] [--out FOLDER]

CLIPS: a folder of `kairoscope simulate`; RUN: an evaluation of a model on it; NAME: of the model. For
every family, weights and what is known about lost models are learned on the others and judged on it.
The doubt about a model comes from its agreement with the signals on the family's own clips, as
`annotate` has it; no label of the family is used.
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fusion_clips import families_of, real_clips
from benchmarks.results import RESULTS, Goal, Result, Table, shown_command, write
from kairoscope.calibration import reliability
from kairoscope.fusion import Floats, Pool, fuse, speaking
from kairoscope.fusion.doubt import Doubt, agreement, doubting, lost_share
from kairoscope.pool_fitting import Labelled, fit_pool, only

SOURCES = ("model", "signals")
DOUBTS = tuple(Doubt(lost=a, found=b) for a in (0.1, 0.3, 1.0) for b in (1.0, 3.0))
WITHIN_S = 0.25
AT_HOME = 0.1
"""A model that is lost in less than this share of boundaries is one to learn weights from."""


@dataclass(frozen=True, slots=True)
class Case:
    """Clips of one family and what one model says about them."""

    model: str
    family: str
    clips: tuple[Labelled, ...]

    def agreements(self) -> list[float]:
        """Of model and signals, about every boundary of which both say something."""
        return [
            agreement(clip.times_s, clip.evidence["model"][slot], clip.evidence["signals"][slot])
            for clip in self.clips
            for slot in sorted(clip.truth_s)
            if len(speaking(only(clip, SOURCES).evidence, slot)) == len(SOURCES)
        ]


@dataclass(frozen=True, slots=True)
class Judged:
    """Every boundary of some clips under one pool."""

    by_clip: Floats
    """Mean error of each clip, s."""
    hits: Floats
    confidences: Floats

    @property
    def error_s(self) -> float:
        return float(self.by_clip.mean())


def judged(clips: Sequence[Labelled], sources: Sequence[str], pool: Pool) -> Judged:
    """Fuse some of the sources and compare with the truth."""
    by_clip, hits, confidences = [], [], []
    for clip in clips:
        found = fuse(clip.times_s, clip.boundaries, only(clip, sources).evidence, pool)
        found = tuple(f for f in found if f.slot in clip.truth_s)
        errors = [abs(f.time_s - clip.truth_s[f.slot]) for f in found]
        by_clip.append(float(np.mean(errors)))
        hits += [float(error <= WITHIN_S + 1e-6) for error in errors]
        confidences += [f.confidence for f in found]
    return Judged(np.array(by_clip), np.array(hits), np.array(confidences))


def learned(cases: Sequence[Case]) -> tuple[Pool, Doubt]:
    """Weights from families whose model is at home, and of the doubts the one with least excess.

    The excess of a case: how much worse than the better single source its fusion is.
    """
    home = [c for case in cases if lost_share(case.agreements()) < AT_HOME for c in case.clips]
    pool = fit_pool([only(clip, SOURCES) for clip in home])
    singles = [min(judged(c.clips, (s,), pool).error_s for s in SOURCES) for c in cases]
    agreements = [case.agreements() for case in cases]

    def excess(doubt: Doubt) -> float:
        total = 0.0
        for case, best_s, own in zip(cases, singles, agreements, strict=True):
            doubted = doubting(pool, {"model": lost_share(own, doubt)})
            total += max(0.0, judged(case.clips, SOURCES, doubted).error_s - best_s)
        return total

    return pool, min(DOUBTS, key=excess)


def without(cases: Sequence[Case], family: str) -> list[Case]:
    """Everything of the other families, thinned to what a fit takes in half a minute."""
    return [
        Case(c.model, c.family, c.clips[:: max(1, len(c.clips) // 6)])
        for c in cases
        if c.family != family
    ]


def interval(gaps: Floats) -> tuple[float, float]:
    """95 % bootstrap interval of a mean over clips."""
    means = np.random.default_rng(0).choice(gaps, (2000, len(gaps))).mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def result(cases: Sequence[Case]) -> Result:
    """A row for every family and model, learned without that family."""
    rows: list[tuple[str, ...]] = []
    data: list[dict[str, Any]] = []
    pools: dict[str, tuple[Pool, Doubt]] = {}
    for case in cases:
        if case.family not in pools:
            pools[case.family] = learned(without(cases, case.family))
        pool, doubt = pools[case.family]
        lost = lost_share(case.agreements(), doubt)
        singles = {s: judged(case.clips, (s,), pool) for s in SOURCES}
        best = min(singles.values(), key=lambda one: one.error_s)
        blind = judged(case.clips, SOURCES, pool)
        fused = judged(case.clips, SOURCES, doubting(pool, {"model": lost}))
        low, high = interval(fused.by_clip - best.by_clip)
        ece = reliability(fused.confidences, fused.hits.astype(bool)).error
        rows.append(
            (
                f"{case.family}, {case.model}",
                str(len(case.clips)),
                *(f"{singles[s].error_s:.3f}" for s in SOURCES),
                f"{blind.error_s:.3f}",
                f"{lost:.0%}",
                f"{fused.error_s:.3f}",
                f"{fused.error_s - best.error_s:+.3f} ({low:+.3f} to {high:+.3f})",
                f"{fused.hits.mean():.0%}",
                f"{ece:.3f}",
            )
        )
        data.append(
            {
                "family": case.family,
                "model": case.model,
                "n": len(case.clips),
                **{s: one.error_s for s, one in singles.items()},
                "fused_without_doubt": blind.error_s,
                "lost": lost,
                "fused": fused.error_s,
                "less_best_single": [fused.error_s - best.error_s, low, high],
                "calibration_error": ece,
                "doubt": [doubt.lost, doubt.found],
            }
        )
    return Result(
        name="fusion_families",
        title="Model and signals without a label, on families that nothing was learned on",
        what=(
            "Mean error in s of the ends. For every family, weights, confidence and what is known of "
            "lost models were learned on the other families; how often the model is lost on it comes "
            "from its agreement with the signals on its own clips. Fused less the better single "
            "source: by clip, with a 95 % bootstrap interval."
        ),
        tables=(
            Table(
                title="By family and model",
                columns=(
                    "family, model", "clips", "model", "signals", "fused, undoubted", "model lost in",
                    "fused", "less the better single", "within 0.25 s", "calibration error",
                ),
                rows=tuple(rows),
            ),
        ),
        goals=(
            Goal(
                text="cases in which fusing is worse than the better single source beyond noise",
                limit=0,
                value=sum(row["less_best_single"][1] > 0 for row in data),
            ),
        ),
        data={"cases": data},
    )  # fmt: skip


def cases_from(words: Sequence[str], g1: str | None) -> list[Case]:
    """What is named on the command line, by family."""
    found: dict[tuple[str, str], list[Labelled]] = defaultdict(list)
    for word in words:
        name, _, rest = word.rpartition(":")
        folder, _, run = rest.partition("=")
        families: Mapping[str, Sequence[Labelled]] = families_of(Path(folder), Path(run))
        for family, clips in families.items():
            found[name or "builtin", family] += clips
    if g1 is not None:
        data, _, run = g1.partition("=")
        found["builtin", "g1"] += real_clips(Path(data), Path(run))
    return [Case(name, family, tuple(clips)) for (name, family), clips in sorted(found.items())]


def main() -> None:
    """Learn without each family, judge on it, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", metavar="[NAME:]CLIPS=RUN")
    parser.add_argument("--g1", metavar="DATA=RUN")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options: Any = parser.parse_args()
    options.load_before, options.smoke = os.getloadavg()[0], False
    words = ("=".join(Path(part).name for part in word.split("=")) for word in sys.argv[1:])
    options.command = shown_command("python -m benchmarks.fusion_families", list(words))
    write(result(cases_from(options.clips, options.g1)), options)


if __name__ == "__main__":
    main()
