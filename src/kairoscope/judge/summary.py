"""What judgements say together: means with intervals, agreement, and whether the judge can be trusted. Pure.

A judgement that failed counts as the lowest score and stays in n: a judge that breaks down on long texts
must not look better for it. Means are over clips; a clip's answers and repeats are averaged first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kairoscope.judge.agreement import HIGHEST, LOWEST, krippendorff_alpha
from kairoscope.metrics.bootstrap import Resamples

GOOD_SAME, GOOD_OTHER, GOOD_SWAP = 4.5, 2.0, 0.5
"""A judge is trusted that scores a label against itself at least so high, against that of another clip
at most so high, and changes its score by at most so much when the texts change places."""
Table = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One question, judged once."""

    sample_id: str
    group: str
    trial: int
    field: str
    control: str
    repeat: int
    score: int | None
    """None where the judge failed."""
    tokens: int = 0


def summarize_judgements(
    judgements: Iterable[Judgement], *, draws: int = 2000, seed: int = 0
) -> Table:
    """Every figure of a judge's run: `fields`, `all`, `controls`, and what speaks against the judge."""
    rows = sorted(judgements, key=lambda j: (j.field, j.control, j.sample_id, j.trial, j.repeat))
    fields = list(dict.fromkeys(row.field for row in rows))
    table: Table = {
        "fields": {
            name: _scores([r for r in rows if r.field == name], draws, seed) for name in fields
        },
        "all": _scores(rows, draws, seed),
        "controls": _controls(rows),
    }
    table["doubts"] = doubts(table)
    return table


def _scores(rows: Sequence[Judgement], draws: int, seed: int) -> Table:
    """Of the answers; the controls are no answers."""
    answers = [row for row in rows if row.control == "answer"]
    clips: dict[str, list[float]] = defaultdict(list)
    groups: dict[str, str] = {}
    for row in answers:
        clips[row.sample_id].append(float(LOWEST if row.score is None else row.score))
        groups[row.sample_id] = row.group
    means = {name: sum(scores) / len(scores) for name, scores in clips.items()}
    resamples = Resamples([groups[name] for name in means], draws, seed)
    return {
        "n_clips": len(means),
        "n_judgements": len(answers),
        "n_failed": sum(row.score is None for row in answers),
        "mean": sum(means.values()) / len(means) if means else None,
        "mean_ci95": resamples.mean_interval(list(means.values())) if means else None,
        "counts": {
            str(score): sum(row.score == score for row in answers)
            for score in range(LOWEST, HIGHEST + 1)
        },
        "alpha": krippendorff_alpha(_repeats(answers)),
        "tokens": sum(row.tokens for row in rows),
    }


def _repeats(rows: Sequence[Judgement]) -> list[list[int | None]]:
    """The scores of each question."""
    asked: dict[tuple[str, str, str, int], list[int | None]] = defaultdict(list)
    for row in rows:
        asked[row.field, row.control, row.sample_id, row.trial].append(row.score)
    return list(asked.values())


def _controls(rows: Sequence[Judgement]) -> Table:
    found: Table = {}
    for name in ("same", "other clip"):
        scores = [LOWEST if r.score is None else r.score for r in rows if r.control == name]
        found[name] = {"n": len(scores), "mean": sum(scores) / len(scores) if scores else None}
    own = _means(rows, "answer")
    swapped = _means(rows, "swapped")
    steps = [abs(own[key] - swapped[key]) for key in swapped if key in own]
    found["swapped"] = {"n": len(steps), "mean_change": sum(steps) / len(steps) if steps else None}
    return found


def _means(rows: Sequence[Judgement], control: str) -> Mapping[tuple[str, str, int], float]:
    scores: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for row in rows:
        if row.control == control and row.score is not None:
            scores[row.field, row.sample_id, row.trial].append(float(row.score))
    return {key: sum(found) / len(found) for key, found in scores.items()}


def doubts(table: Table) -> list[str]:
    """What speaks against the judge, in words; empty where nothing does."""
    controls, everything = table["controls"], table["all"]
    found = []
    if (same := controls["same"]["mean"]) is not None and same < GOOD_SAME:
        found.append(f"it scores labels against themselves {same:.2f}, not near {HIGHEST}")
    if (other := controls["other clip"]["mean"]) is not None and other > GOOD_OTHER:
        found.append(f"it scores the label of another clip {other:.2f}, not near {LOWEST}")
    if (step := controls["swapped"]["mean_change"]) is not None and step > GOOD_SWAP:
        found.append(f"its score changes by {step:.2f} when the two texts change places")
    if everything["alpha"] is not None and everything["alpha"] < 0.667:
        found.append(
            f"its repeats agree little (alpha {everything['alpha']:.2f}; 0.667 is the least that "
            "Krippendorff calls usable)"
        )
    if everything["n_failed"]:
        share = everything["n_failed"] / everything["n_judgements"]
        found.append(f"{share:.0%} of its judgements failed and count as {LOWEST}")
    return found
