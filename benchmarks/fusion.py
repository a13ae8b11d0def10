"""Fused boundaries against every single source: learn the defaults, and judge them elsewhere.

    python -m benchmarks.fusion --fit CLIPS=RUN [CLIPS=RUN …]     learn; writes fusion_defaults.json
    python -m benchmarks.fusion CLIPS=RUN … [--g1 DATA=RUN] [--examples K] [--plots FOLDER]

CLIPS: a folder of `kairoscope simulate`; RUN: an evaluation of a model on it. DATA: the real clips,
with a run of `benchmarks.real_clips` on them. A model is doubted as far as it does not find what the
signals find on these clips, as `annotate` does it (`--undoubted`: not at all). With `--examples`, the
first K clips of each are labelled, the mixes adapted to them, and the others judged.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.fusion_clips import real_clips, simulated_clips
from kairoscope.annotate.trusting import STRENGTH
from kairoscope.annotate.usual_error import KEY, usual_error_s
from kairoscope.calibration import best_share, reliability, review_order, share_found
from kairoscope.fusion import Floats, Fused, Pool, expected_error_s, fuse
from kairoscope.fusion.doubt import agreement, doubting, lost_share
from kairoscope.pool_fitting import (
    DEFAULTS,
    Labelled,
    default_pool,
    fit_pool,
    only,
    pool_to_json,
)
from kairoscope.report.reliability import reliability_plot, review_plot
from kairoscope.report.svg import standalone
from kairoscope.robot.wording import meaning_of

SOURCES = ("model", "signals", "prior")
DEFAULTS_PATH = Path(__file__).parents[1] / "src/kairoscope" / DEFAULTS
WITHIN_S = 0.25
AT_HOME = 0.1
"""A model that is lost in a larger share of the boundaries of a family is not at home in it."""


class Judged:
    """Every boundary of some clips under one combination of sources."""

    def __init__(self, clips: Sequence[Labelled], sources: Sequence[str], pool: Pool) -> None:
        errors: list[list[float]] = []
        confidences, doubts, inside = [], [], []
        for clip in clips:
            evidence = only(clip, sources).evidence
            found = fuse(clip.times_s, clip.boundaries, evidence, pool)
            errors.append([abs(f.time_s - clip.truth_s[f.slot]) for f in found])
            confidences += [f.confidence for f in found]
            doubts += [doubt_s(clip, f) for f in found]
            inside += [
                f.interval_s[0] - 1e-6 <= clip.truth_s[f.slot] <= f.interval_s[1] + 1e-6
                for f in found
            ]
        self.by_clip = [float(np.mean(own)) for own in errors]
        self.errors: Floats = np.array([error for own in errors for error in own])
        self.hits = self.errors <= WITHIN_S + 1e-6
        self.confidences, self.doubts = np.array(confidences), np.array(doubts)
        self.inside = float(np.mean(inside))

    def row(self, name: str) -> str:
        """One line of the table."""
        found = reliability(self.confidences, self.hits)
        share = share_found(self.errors, review_order(self.doubts))
        return (
            f"| {name} | {self.errors.mean():.3f} | {np.median(self.errors):.3f} "
            f"| {self.hits.mean():.1%} | {self.confidences.mean():.1%} | {found.error:.3f} "
            f"| {self.inside:.0%} | {share:.0%} / {best_share(self.errors):.0%} | {self.found()} |"
        )

    def found(self) -> str:
        """How many of those off by more than 0.25 s are in the first 20 %."""
        first = list(review_order(self.doubts))[: round(0.2 * len(self.errors))]
        return f"{int((~self.hits)[first].sum())} of {int((~self.hits).sum())}"


def doubt_s(clip: Labelled, found: Fused) -> float:
    """What `annotate` orders by: how far a boundary is expected to be off."""
    usual_s = usual_error_s(clip.names[found.slot])
    return expected_error_s(clip.times_s, found.probabilities_T, found.time_s, usual_s)


def usual_errors(clips: Sequence[Labelled], pool: Pool) -> dict[str, float]:
    """Action -> mean error of its ends that are within 0.25 s, from all sources."""
    found: dict[str, list[float]] = defaultdict(list)
    for clip in clips:
        for end in fuse(clip.times_s, clip.boundaries, clip.evidence, pool):
            error_s = abs(end.time_s - clip.truth_s[end.slot])
            if error_s <= WITHIN_S + 1e-6:
                found[meaning_of(clip.names[end.slot]).action].append(error_s)
    return {action: round(float(np.mean(own)), 4) for action, own in sorted(found.items())}


def difference(one: Judged, other: Judged) -> str:
    """Mean error of the one less that of the other, by clip, with a 95 % bootstrap interval."""
    gaps = np.array(one.by_clip) - np.array(other.by_clip)
    rng = np.random.default_rng(0)
    means = rng.choice(gaps, (2000, len(gaps))).mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{gaps.mean():+.3f} s ({low:+.3f} to {high:+.3f})"


def table(name: str, clips: Sequence[Labelled], pool: Pool, plots: Path | None) -> None:
    """Print how every combination does on these clips."""
    print(f"\n{name}: {len(clips)} clips, {sum(len(c.truth_s) for c in clips)} boundaries\n")
    print(
        "| sources | mean error s | median s | within 0.25 s | confidence | calibration error "
        "| in 80 % interval | error in first 20 % / at best | wrong ones in it |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    judged = {}
    for count in range(1, len(SOURCES) + 1):
        for names in combinations(SOURCES, count):
            judged[names] = Judged(clips, names, pool)
            print(judged[names].row(" + ".join(names)))
    single = min(((s,) for s in SOURCES), key=lambda names: float(judged[names].errors.mean()))
    print(
        f"\nall less the best single ({single[0]}): {difference(judged[SOURCES], judged[single])}"
    )
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        all_of = judged[SOURCES]
        found = reliability(all_of.confidences, all_of.hits)
        for kind, svg in (
            ("reliability", reliability_plot(found, title=f"Confidence of fused ends, {name}")),
            (
                "review",
                review_plot(
                    all_of.errors.tolist(), all_of.doubts.tolist(), title=f"Review order, {name}"
                ),
            ),
        ):
            (plots / f"{kind}_{name}.svg").write_text(standalone(svg))


def doubted(clips: Sequence[Labelled]) -> Pool:
    """The shipped weights, less sure of a model that is lost on these clips; no label is used."""
    return doubting(default_pool(), {"model": lost_share(agreements(clips))})


def agreements(clips: Sequence[Labelled]) -> list[float]:
    """Of model and signals, about every boundary."""
    return [
        agreement(clip.times_s, clip.evidence["model"][slot], clip.evidence["signals"][slot])
        for clip in clips
        for slot in sorted(clip.truth_s)
    ]


def lost_on(clips: Sequence[Labelled]) -> set[str]:
    """The sources from which nothing is to be learned on these clips."""
    return {"model"} if lost_share(agreements(clips)) > AT_HOME else set()


def learn(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Write the defaults learned on these clips."""
    sets = [simulated_clips(folder, run) for folder, run in pairs]
    # Weights are those of a model that is at home; how far it is not is found out on each dataset.
    told = [only(clip, clip.evidence.keys() - lost_on(clips)) for clips in sets for clip in clips]
    pool = fit_pool(told)
    about = [
        f"{len(clips)} clips, kairoscope simulate {json.loads((folder / 'simulate.json').read_text())}"
        for clips, (folder, _) in zip(sets, pairs, strict=True)
    ]
    row = {
        "learned_on": about,
        "command": "python -m benchmarks.fusion --fit",
        KEY: usual_errors(told, pool),
        "mixes": pool_to_json(pool),
    }
    DEFAULTS_PATH.write_text(json.dumps(row, indent=1) + "\n")


def main() -> None:
    """Learn, or judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", metavar="CLIPS=RUN")
    parser.add_argument("--g1", metavar="DATA=RUN")
    parser.add_argument("--examples", type=int, default=0)
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--undoubted", action="store_true")
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    pairs = [_pair(words) for words in options.clips]
    if options.fit:
        learn(pairs)
        return
    sets = [(folder.name, simulated_clips(folder, run)) for folder, run in pairs]
    if options.g1:
        sets.append(("g1", real_clips(*_pair(options.g1))))
    for name, clips in sets:
        count = options.examples
        pool = default_pool() if options.undoubted else doubted(clips)
        pool = fit_pool(clips[:count], pool, STRENGTH) if count else pool
        table(name, clips[count:], pool, options.plots)


def _pair(words: str) -> tuple[Path, Path]:
    first, _, second = words.partition("=")
    return Path(first), Path(second)


if __name__ == "__main__":
    main()
