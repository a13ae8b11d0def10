"""What a run of a recipe taught: rules over before, after, training and data. Pure.

As in `analysis`, every statement is computed and carries its numbers.
"""

from collections import defaultdict
from collections.abc import Callable
from statistics import fmean

from kairoscope.report.comparison.paired import Verdict
from kairoscope.report.figures import HEADLINE, dig, shown, step_unit
from kairoscope.report.findings import RANK, Finding, Severity
from kairoscope.report.page import interval
from kairoscope.report.recipe.run import RecipeRun
from kairoscope.report.svg import short


def lessons(run: RecipeRun) -> list[Finding]:
    """The lessons of a recipe's run: what failed first, then cautions, then what worked."""
    found = [lesson for rule in RULES if (lesson := rule(run)) is not None]
    return sorted(found, key=lambda lesson: RANK[lesson.severity])


def lessons_for_all(run: RecipeRun, *own: Finding | None) -> list[Finding]:
    """Those of any kind of answers, with those of one kind."""
    ruled = [rule(run) for rule in (readable, dropped_data, rejected_clips)]
    found = [lesson for lesson in (*own, *ruled) if lesson is not None]
    return sorted(found, key=lambda lesson: RANK[lesson.severity])


_SEVERITY: dict[Verdict, Severity] = {
    "better": "strength",
    "worse": "gap",
    "not shown": "warning",
}


def effect(run: RecipeRun) -> Finding | None:
    """Did training lower the headline error, beyond doubt?"""
    step = next((d for d in run.differences if d.kind is HEADLINE), None)
    if step is None:
        return None
    unit = step_unit(step.kind.suffix)
    clips = f"over the {step.num_clips} clips that both evaluations have"
    ends = interval(step.interval, unit)
    figures = f"from {shown(step.before, '%')} to {shown(step.after, '%')} {clips}"
    change = f"a difference of {shown(step.difference, unit)}" + (
        f" (95 %: {ends})" if ends else ""
    )
    titles = {
        "better": "Training lowered the error",
        "worse": "Training raised the error",
        "not shown": "Training shows no effect on the error",
    }
    return Finding(
        severity=_SEVERITY[step.verdict],
        title=titles[step.verdict],
        detail=f"Mean relative error of the ends {figures}: {change}.",
        evidence={"before": step.before, "after": step.after, "difference": step.difference},
    )


def past_the_prior(run: RecipeRun) -> Finding | None:
    """Is the trained model worth more than the other demonstrations' median?"""
    if run.zero_shot is None or run.re_evaluation is None:
        return None
    before, after = dig(run.zero_shot.metrics, "skill"), dig(run.re_evaluation.metrics, "skill")
    if before is None or after is None:
        return None
    words = f"Skill over the no-video prior: {shown(before)} before, {shown(after)} after."
    evidence: dict[str, float | int | str] = {"before": before, "after": after}
    if after <= 0:
        title = "Even after training, the median of other demonstrations is as good"
        return Finding(severity="gap", title=title, detail=words, evidence=evidence)
    if before <= 0:
        title = "Training took the model past the no-video prior"
        return Finding(severity="strength", title=title, detail=words, evidence=evidence)
    return None


def looks_more(run: RecipeRun) -> Finding | None:
    """Did the answers come to depend more on the video?"""
    if run.zero_shot is None or run.re_evaluation is None:
        return None
    path = "wrong_video/mre_ratio"
    before, after = dig(run.zero_shot.metrics, path), dig(run.re_evaluation.metrics, path)
    if before is None or after is None:
        return None
    words = (
        f"A wrong video makes the error {short(before, 2)} times as large before training and "
        f"{short(after, 2)} times after."
    )
    evidence: dict[str, float | int | str] = {"before": before, "after": after}
    if after < 1.5:
        title = "The trained model still hardly depends on the video"
        return Finding(severity="gap", title=title, detail=words, evidence=evidence)
    if after > 1.5 * before:
        title = "The trained model depends more on what it sees"
        return Finding(severity="strength", title=title, detail=words, evidence=evidence)
    return None


def readable(run: RecipeRun) -> Finding | None:
    """Did training change how many answers can be read?"""
    if run.zero_shot is None or run.re_evaluation is None:
        return None
    before = float(run.zero_shot.metrics["answered"] or 0.0)
    after = float(run.re_evaluation.metrics["answered"] or 0.0)
    if abs(after - before) < 0.01:
        return None
    better = after > before
    return Finding(
        severity="strength" if better else "gap",
        title=f"{'More' if better else 'Fewer'} answers can be read after training",
        detail=f"{shown(100 * before, '%')} before, {shown(100 * after, '%')} after.",
        evidence={"before": before, "after": after},
    )


def length_of_training(run: RecipeRun) -> Finding | None:
    """Was training stopped too early, or long after its best step?"""
    log = run.training
    if log is None or len(log.held_out) < 3:
        return None
    best, last = log.best(), log.held_out[-1]
    if best is None or last.get("mre_percent") is None:
        return None
    figures = (
        f"The held-out error was lowest at step {best['step']} ({shown(best['mre_percent'], '%')}); "
        f"training ended at step {last['step']} ({shown(last['mre_percent'], '%')})."
    )
    evidence: dict[str, float | int | str] = {
        "best_step": best["step"],
        "last_step": last["step"],
        "best_mre_percent": best["mre_percent"],
        "last_mre_percent": last["mre_percent"],
    }
    if best["step"] == last["step"]:
        title = "The held-out error was still falling when training ended"
        return Finding(severity="warning", title=title, detail=figures, evidence=evidence)
    if best["step"] <= 0.6 * last["step"] and last["mre_percent"] > 1.2 * best["mre_percent"]:
        title = "Training went on after its best step, and the held-out error rose"
        return Finding(severity="warning", title=title, detail=figures, evidence=evidence)
    return None


def unlike_the_training_data(run: RecipeRun) -> Finding | None:
    """Is the benchmark harder than the clips held out from the training data?"""
    if run.training is None or run.re_evaluation is None:
        return None
    best = run.training.best()
    after = run.re_evaluation.by_score.get(HEADLINE.score)
    if best is None or after is None or after.value < 1.5 * best["mre_percent"]:
        return None
    return Finding(
        severity="warning",
        title="The benchmark is harder than clips like the training data",
        detail=f"Mean relative error {shown(best['mre_percent'], '%')} on held-out clips of the "
        f"training data, {shown(after.value, '%')} on the benchmark.",
        evidence={"held_out": best["mre_percent"], "benchmark": after.value},
    )


def left_behind(run: RecipeRun) -> Finding | None:
    """A scenario that got worse while others did not."""
    if run.zero_shot is None or run.re_evaluation is None:
        return None
    steps: dict[str, list[float]] = defaultdict(list)
    for clip, old in run.zero_shot.scores.items():
        new = run.re_evaluation.scores.get(clip)
        before = old.columns[HEADLINE.score]
        after = None if new is None else new.columns[HEADLINE.score]
        if before is not None and after is not None:
            steps[old.scenario].append(after - before)
    means = {name: fmean(values) for name, values in steps.items() if len(values) >= 3}
    worse = {name: mean for name, mean in means.items() if mean > 0}
    if len(means) < 2 or not worse or len(worse) == len(means):
        return None
    name = max(worse, key=lambda key: (worse[key], key))
    return Finding(
        severity="warning",
        title=f"Not every scenario gained: {name} got worse",
        detail=f"{len(worse)} of {len(means)} scenarios have a larger error after training; "
        f"{name} by {shown(worse[name], ' points')}.",
        evidence={"scenario": name, "difference": worse[name], "worse": len(worse)},
    )


def dropped_data(run: RecipeRun) -> Finding | None:
    """How much of the training data had to be left out, and why."""
    if run.curation is None or not run.curation["n_dropped"]:
        return None
    reasons = run.curation["dropped"]
    often = max(reasons, key=lambda reason: (reasons[reason], reason))
    share = run.curation["n_dropped"] / run.curation["n_in"]
    return Finding(
        severity="warning" if share >= 0.05 else "strength",
        title=f"Curation left out {run.curation['n_dropped']} of {run.curation['n_in']} samples",
        detail=f"The most frequent reason was {often!r} ({reasons[often]}).",
        evidence={"dropped": run.curation["n_dropped"], "given": run.curation["n_in"]},
    )


def rejected_clips(run: RecipeRun) -> Finding | None:
    """Samples that the check before the first step kept out of training."""
    checks = [] if run.training is None else run.training.checks
    rejected = checks[-1]["rejected"] if checks else []
    if not rejected:
        return None
    return Finding(
        severity="warning",
        title=f"Curated samples that could not be trained on: {len(rejected)}",
        detail=f"The first: {rejected[0].get('sample_id', '')}: {rejected[0].get('reason', '')}.",
        evidence={"rejected": len(rejected)},
    )


RULES: tuple[Callable[[RecipeRun], Finding | None], ...] = (
    effect,
    past_the_prior,
    looks_more,
    readable,
    length_of_training,
    unlike_the_training_data,
    left_behind,
    dropped_data,
    rejected_clips,
)
