"""What judgements say together: means with intervals, agreement, and whether the judge can be trusted. Pure.

A judgement that failed counts as the lowest score and stays in n: a judge that breaks down on long texts
must not look better for it. So does an answer that is not there. Means are over clips; a clip's answers
and repeats are averaged first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kairoscope.judge.agreement import HIGHEST, LOWEST, krippendorff_alpha, mean_step
from kairoscope.metrics.bootstrap import Resamples

GOOD_SAME, GOOD_OTHER, GOOD_SWAP = 4.5, 2.0, 0.5
"""A judge is trusted that scores a label against itself at least so high, against that of another clip
at most so high, and changes its score by at most so much when the texts change places."""
GOOD_ALPHA = 0.667
"""The least that Krippendorff (2004) calls usable, for tentative conclusions."""
GOOD_STEP = 0.5
"""Repeats that lie closer together than this agree, whatever alpha says: it is low where nearly all scores are
the same."""
MOST_FAILED = 0.02
ROUNDING = 1e-9
"""Of means: half a point is no more than half a point."""
FEWEST_CLIPS = 5
"""With fewer clips in a control no judge is trusted; a control that it misses counts all the same."""
LIMITS = {
    "same": GOOD_SAME,
    "other clip": GOOD_OTHER,
    "swapped": GOOD_SWAP,
    "alpha": GOOD_ALPHA,
    "step": GOOD_STEP,
    "failed": MOST_FAILED,
    "clips": FEWEST_CLIPS,
}
Table = dict[str, Any]
Trust = Literal["trusted", "not trusted", "not tested"]


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
    """None where the judge failed, or there was nothing to judge."""
    missing: bool = False
    """There was no answer to judge."""
    tokens: int = 0

    @property
    def counted(self) -> float:
        """Its score in means."""
        return float(LOWEST if self.score is None else self.score)


def judgement_of(row: Mapping[str, Any]) -> Judgement:
    """A row of `judgements.jsonl`."""
    names = ("sample_id", "group", "trial", "field", "control", "repeat", "score")
    tokens = row.get("prompt_tokens", 0) + row.get("new_tokens", 0)
    missing = bool(row.get("missing"))
    return Judgement(**{name: row[name] for name in names}, missing=missing, tokens=tokens)


def summarize_judgements(
    judgements: Iterable[Judgement],
    *,
    fields: Sequence[str] = (),
    draws: int = 2000,
    seed: int = 0,
) -> Table:
    """Every figure of a judge's run: each of `fields` with its controls and the verdict on the judge, and
    the same over `all` of them. Without `fields`, those that there are.
    """
    rows = sorted(judgements, key=lambda j: (j.field, j.control, j.sample_id, j.trial, j.repeat))
    names = list(fields) or list(dict.fromkeys(row.field for row in rows))
    table: Table = {
        "fields": {
            name: _judged([r for r in rows if r.field == name], draws, seed) for name in names
        },
        "all": _judged(rows, draws, seed),
        "limits": dict(LIMITS),
    }
    return table | {key: table["all"][key] for key in ("controls", "doubts", "verdict")}


def _judged(rows: Sequence[Judgement], draws: int, seed: int) -> Table:
    table = _scores(rows, draws, seed) | {"controls": _controls(rows, draws, seed)}
    found = doubts(table)
    return table | {"doubts": found, "verdict": _verdict(table, found)}


def _scores(rows: Sequence[Judgement], draws: int, seed: int) -> Table:
    """Of the answers; the controls are no answers, but show as well as these how far repeats agree."""
    answers = [row for row in rows if row.control == "answer"]
    asked = [row for row in rows if not row.missing]
    mean, interval, num_clips = _mean(answers, draws, seed)
    return {
        "n_clips": num_clips,
        "n_judgements": len(answers),
        "n_missing": sum(row.missing for row in answers),
        "n_asked": len(asked),
        "n_failed": sum(row.score is None for row in asked),
        "mean": mean,
        "mean_ci95": interval,
        "counts": {
            str(score): sum(row.score == score for row in answers)
            for score in range(LOWEST, HIGHEST + 1)
        },
        "alpha": krippendorff_alpha(_repeats(asked)),
        "step": mean_step(_repeats(asked)),
        "alpha_answers": krippendorff_alpha(_repeats([r for r in answers if not r.missing])),
        "tokens": sum(row.tokens for row in rows),
    }


def _mean(
    rows: Sequence[Judgement], draws: int, seed: int
) -> tuple[float | None, list[float] | None, int]:
    """Over clips: (mean, its 95 % interval, clips)."""
    clips: dict[str, list[float]] = defaultdict(list)
    groups: dict[str, str] = {}
    for row in rows:
        clips[row.sample_id].append(row.counted)
        groups[row.sample_id] = row.group
    if not clips:
        return None, None, 0
    means = {name: sum(scores) / len(scores) for name, scores in clips.items()}
    resamples = Resamples([groups[name] for name in means], draws, seed)
    mean = sum(means.values()) / len(means)
    return mean, resamples.mean_interval(list(means.values())), len(means)


def _repeats(rows: Sequence[Judgement]) -> list[list[int | None]]:
    """The scores of each question."""
    asked: dict[tuple[str, str, str, int], list[int | None]] = defaultdict(list)
    for row in rows:
        asked[row.field, row.control, row.sample_id, row.trial].append(row.score)
    return list(asked.values())


def _controls(rows: Sequence[Judgement], draws: int, seed: int) -> Table:
    """What each control came to: `n` judgements of `n_clips`."""
    found: Table = {}
    for name in ("same", "other clip"):
        own = [row for row in rows if row.control == name]
        mean, interval, num_clips = _mean(own, draws, seed)
        found[name] = {"n": len(own), "n_clips": num_clips, "mean": mean, "mean_ci95": interval}
    answers, swapped = _means(rows, "answer"), _means(rows, "swapped")
    both = [key for key in swapped if key in answers]
    steps = [abs(answers[key] - swapped[key]) for key in both]
    groups = {(r.field, r.sample_id, r.trial): r.group for r in rows}
    resamples = Resamples([groups[key] for key in both], draws, seed)
    found["swapped"] = {
        "n": len(steps),
        "n_clips": len({key[1] for key in both}),
        "mean_change": sum(steps) / len(steps) if steps else None,
        "mean_change_ci95": resamples.mean_interval(steps) if steps else None,
    }
    return found


def _means(rows: Sequence[Judgement], control: str) -> Mapping[tuple[str, str, int], float]:
    scores: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for row in rows:
        if row.control == control and row.score is not None:
            scores[row.field, row.sample_id, row.trial].append(float(row.score))
    return {key: sum(found) / len(found) for key, found in scores.items()}


def doubts(table: Table) -> list[str]:
    """What speaks against the judge, in words; empty where nothing does."""
    controls = table["controls"]
    found = []
    if (same := controls["same"]["mean"]) is not None and same < GOOD_SAME - ROUNDING:
        found.append(f"it scores labels against themselves {same:.2f}, not near {HIGHEST}")
    if (other := controls["other clip"]["mean"]) is not None and other > GOOD_OTHER + ROUNDING:
        found.append(f"it scores the label of another clip {other:.2f}, not near {LOWEST}")
    if (step := controls["swapped"]["mean_change"]) is not None and step > GOOD_SWAP + ROUNDING:
        found.append(f"its score changes by {step:.2f} when the two texts change places")
    alpha, step = table["alpha"], table["step"]
    if alpha is not None and alpha < GOOD_ALPHA and step > GOOD_STEP + ROUNDING:
        found.append(
            f"its repeats agree little (alpha {alpha:.2f}; {GOOD_ALPHA} is the least that Krippendorff "
            f"calls usable; two of them lie {step:.2f} apart)"
        )
    if table["n_asked"] and table["n_failed"] > MOST_FAILED * table["n_asked"]:
        share = table["n_failed"] / table["n_asked"]
        found.append(f"{share:.0%} of its judgements failed and count as {LOWEST}")
    return found


def _verdict(table: Table, found: Sequence[str]) -> Trust:
    if found:
        return "not trusted"
    tested = (table["controls"][name]["n_clips"] for name in ("same", "other clip", "swapped"))
    return "trusted" if min(tested) >= FEWEST_CLIPS else "not tested"


def verdict_words(name: str, table: Table) -> str:
    """The verdict on a judge for a field, as a sentence that says why."""
    field, controls = name.replace("_", " "), table["controls"]
    if table["verdict"] == "not trusted":
        return f"This judge cannot be trusted for {field}: {'; '.join(table['doubts'])}."
    few = min(controls.values(), key=lambda control: control["n_clips"])["n_clips"]
    if table["verdict"] == "not tested":
        return (
            f"Whether this judge can be trusted for {field} is not known: a control has {few} clips, "
            f"{FEWEST_CLIPS} are needed."
        )
    alpha = "" if table["alpha"] is None else f"; repeats agree with alpha {table['alpha']:.2f}"
    return (
        f"This judge can be trusted for {field}: it scores labels against themselves "
        f"{controls['same']['mean']:.2f}, those of other clips {controls['other clip']['mean']:.2f}, and "
        f"changes by {controls['swapped']['mean_change']:.2f} when texts change places "
        f"({few} clips or more each){alpha}."
    )
