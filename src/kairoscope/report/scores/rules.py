"""What a reader should notice in an evaluation of scores: rules over its figures. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from kairoscope.report.figures import counted, shown
from kairoscope.report.findings import RANK, Finding
from kairoscope.report.page import interval
from kairoscope.report.scores.figures import best_reading

Rule = Callable[[Mapping[str, Any], Mapping[str, float]], Finding | None]
FEW_GROUPS = 20


def analyse_scores(metrics: Mapping[str, Any], targets: Mapping[str, float]) -> list[Finding]:
    """The findings of one evaluation: gaps first, then warnings, then strengths."""
    found = [finding for rule in RULES if (finding := rule(metrics, targets)) is not None]
    return sorted(found, key=lambda finding: RANK[finding.severity])


def degenerate(metrics: Mapping[str, Any], _: Mapping[str, float]) -> Finding | None:
    """Is it one score for nearly everything?"""
    if not metrics["degenerate"]:
        return None
    columns = [sum(row[place] for row in metrics["confusion"]) for place in range(5)]
    score = max(range(5), key=lambda place: columns[place]) + 1
    share = columns[score - 1] / sum(columns)
    return Finding(
        severity="gap",
        title=f"Nearly every answer is {score}",
        detail=f"{share:.0%} of the answers are {score}. Models that have learned little, or from uneven "
        "labels (balance = up evens them), end like this.",
        evidence={"score": score, "share": share},
    )


def target(metrics: Mapping[str, Any], targets: Mapping[str, float]) -> Finding | None:
    """Is the correlation at the recipe's goal, beyond doubt?"""
    goal = targets.get("expected_pearson")
    table = metrics[best_reading(metrics)]
    value = None if not table else table["pearson"]
    if goal is None or value is None:
        return None
    ends = table["pearson_ci95"] or (value, value)
    words = f"Pearson correlation {shown(value)} (95 %: {interval(ends)})"
    evidence: dict[str, float | int | str] = {"pearson": value, "target": goal}
    if value < goal:
        title = f"The scores go with the true ones by {shown(value)}; the goal is {shown(goal)}"
        return Finding(severity="gap", title=title, detail=f"{words}.", evidence=evidence)
    if ends[0] < goal:
        title = f"At the goal of {shown(goal)}, but not beyond doubt"
        detail = f"{words}: the interval reaches below it."
        return Finding(severity="warning", title=title, detail=detail, evidence=evidence)
    title = f"The goal of {shown(goal)} is reached"
    return Finding(severity="strength", title=title, detail=f"{words}.", evidence=evidence)


def against_constants(metrics: Mapping[str, Any], _: Mapping[str, float]) -> Finding | None:
    """Is it nearer to the truth than one score for all clips would be?"""
    skill = metrics.get("skill")
    if skill is None:
        return None
    name = min(("majority", "mean"), key=lambda n: metrics["baselines"][n]["mae"])
    constant = metrics["baselines"][name]
    table = metrics[best_reading(metrics)]
    detail = (
        f"Mean absolute error {shown(table['mae'])}; answering {shown(constant['score'])} to every "
        f"clip gives {shown(constant['mae'])}."
    )
    evidence: dict[str, float | int | str] = {"skill": skill, "constant_mae": constant["mae"]}
    if skill <= 0:
        title = "No nearer to the truth than one score for all clips"
        return Finding(severity="gap", title=title, detail=detail, evidence=evidence)
    title = f"The error is {skill:.0%} smaller than that of the best constant"
    severity = "strength" if skill >= 0.2 else "warning"
    return Finding(severity=severity, title=title, detail=detail, evidence=evidence)  # type: ignore[arg-type]


def looking(metrics: Mapping[str, Any], _: Mapping[str, float]) -> Finding | None:
    """Do the scores depend on the video?"""
    wrong = metrics["wrong_video"]
    if not wrong:
        return None
    reading = best_reading(metrics)
    own, other = metrics[reading]["pearson"], (wrong[reading] or wrong["digit"])["pearson"]
    if own is None or other is None or own < 0.2:
        return None
    detail = f"Correlation {shown(own)} with the right video, {shown(other)} with another clip's."
    evidence: dict[str, float | int | str] = {"right": own, "wrong": other}
    if other > own / 2:
        title = "Another clip gives nearly the same scores"
        return Finding(severity="gap", title=title, detail=detail, evidence=evidence)
    title = "The scores come from the video"
    return Finding(severity="strength", title=title, detail=detail, evidence=evidence)


def expected_gain(metrics: Mapping[str, Any], _: Mapping[str, float]) -> Finding | None:
    """What does the mean of the distribution add to the digit?"""
    gain = metrics.get("gain")
    if not gain or gain["pearson"] is None or gain["pearson_ci95"] is None:
        return None
    low, high = gain["pearson_ci95"]
    words = (
        f"Correlation {shown(metrics['expected']['pearson'])} of the expected score, "
        f"{shown(metrics['digit']['pearson'])} of the digit: a difference of "
        f"{shown(gain['pearson'])} (95 %: {interval((low, high))})."
    )
    if low <= 0:
        return None
    return Finding(
        severity="strength",
        title="The expected score says more than the digit",
        detail=words,
        evidence={"gain": gain["pearson"]},
    )


def bias(metrics: Mapping[str, Any], _: Mapping[str, float]) -> Finding | None:
    """Are scores too high or too low on the whole?"""
    table = metrics[best_reading(metrics)]
    ends = None if not table else table["bias_ci95"]
    if ends is None or ends[0] <= 0 <= ends[1] or abs(table["bias"]) < 0.25:
        return None
    side = "high" if table["bias"] > 0 else "low"
    return Finding(
        severity="warning",
        title=f"Scores are too {side} by {shown(abs(table['bias']))} on average",
        detail=f"95 %: {interval(ends)}. Where only the order counts, this does no harm.",
        evidence={"bias": table["bias"]},
    )


def unanswered(metrics: Mapping[str, Any], _: Mapping[str, float]) -> Finding | None:
    """Answers that could not be read, which count at their worst."""
    answered = metrics["answered"]
    if answered is None or answered >= 0.999:
        return None
    return Finding(
        severity="gap" if answered < 0.95 else "warning",
        title=f"{1 - answered:.1%} of the answers could not be read",
        detail="Each counts as the score farthest from the truth. Constrained decoding cannot fail.",
        evidence={"answered": answered},
    )


def uneven_labels(metrics: Mapping[str, Any], _: Mapping[str, float]) -> Finding | None:
    """Is one score so common that a constant looks good?"""
    labels: Mapping[str, int] = metrics["labels"]
    total = sum(labels.values())
    score = max(labels, key=lambda key: labels[key])
    if not total or labels[score] < total / 2:
        return None
    return Finding(
        severity="warning",
        title=f"More than half of the clips are labelled {score}",
        detail=f"{labels[score]} of {total}: exact accuracy says little; look at the correlations.",
        evidence={"label": int(score), "share": labels[score] / total},
    )


def few_groups(metrics: Mapping[str, Any], _: Mapping[str, float]) -> Finding | None:
    """Too few independent clips to tell much."""
    groups = int(metrics["n_groups"])
    if groups >= FEW_GROUPS:
        return None
    return Finding(
        severity="warning",
        title=f"Only {counted(groups, 'group')} of clips",
        detail="Intervals resample groups of clips that belong together; so few make them wide.",
        evidence={"groups": groups},
    )


RULES: tuple[Rule, ...] = (
    degenerate,
    target,
    against_constants,
    looking,
    expected_gain,
    bias,
    unanswered,
    uneven_labels,
    few_groups,
)
