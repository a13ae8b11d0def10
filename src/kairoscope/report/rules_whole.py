"""Rules over the figures as a whole: goal, prior, control, missing answers. Pure."""

from collections import defaultdict

from kairoscope.report.figures import dig, prior_coverage, shown
from kairoscope.report.findings import Evidence, Evidences, Finding
from kairoscope.report.svg import short


def target(seen: Evidences) -> Finding | None:
    """Is the mean relative error of the ends below the recipe's goal, beyond doubt?"""
    goal = seen.targets.get("mre_percent")
    value = dig(seen.metrics, "ends/all/mre_percent")
    if goal is None or value is None:
        return None
    low, high = dig(seen.metrics, "ends/all/mre_ci95") or (value, value)
    evidence: Evidence = {"mre_percent": value, "low": low, "high": high, "target": goal}
    figures = f"{short(value)}% (95 %: {short(low)} to {short(high)})"
    if value >= goal:
        doubt = "" if low >= goal else ", though the interval reaches below it"
        return Finding(
            severity="gap",
            title=f"The ends are off by {short(value)}% of their subtask; the goal is {short(goal)}%",
            detail=f"Mean relative error {figures}, above the goal{doubt}.",
            evidence=evidence,
        )
    if high >= goal:
        return Finding(
            severity="warning",
            title=f"Below the goal of {short(goal)}%, but not beyond doubt",
            detail=f"Mean relative error {figures}: the interval reaches above the goal.",
            evidence=evidence,
        )
    return Finding(
        severity="strength",
        title=f"The goal of {short(goal)}% is reached",
        detail=f"Mean relative error {figures}, all of it below the goal.",
        evidence=evidence,
    )


def skill(seen: Evidences) -> Finding | None:
    """Does the model know more than the other demonstrations' median does, beyond doubt?"""
    value, prior = dig(seen.metrics, "skill"), dig(seen.metrics, "prior/mre_percent")
    if value is None or prior is None:
        return None
    low, high = dig(seen.metrics, "skill_ci95") or (value, value)
    own = prior * (1 - value)  # on the clips that have a prior, whatever the other clips give
    clips = f"On the {seen.metrics['prior']['n_clips']} clips that have a prior"
    figures = (
        f"{clips}, the model errs by {shown(own, '%')}, the prior by {shown(prior, '%')}: "
        f"skill {shown(value)} (95 %: {shown(low)} to {shown(high)})"
    )
    evidence: Evidence = {"skill": value, "prior_mre_percent": prior, "mre_percent": own}
    if value <= 0:
        return Finding(
            severity="gap",
            title="The model does no better than the no-video prior",
            detail=f"{figures}. The median of the other demonstrations' times, without looking at "
            "any video, is at least as good.",
            evidence=evidence,
        )
    if length_alone(seen) is not None:
        return None  # skill that the clip's length explains is no strength
    if value < 0.3 or low <= 0:
        return Finding(
            severity="warning",
            title="The model adds little to the no-video prior, or not beyond doubt",
            detail=f"{figures}.",
            evidence=evidence,
        )
    return Finding(
        severity="strength",
        title="The model knows more than the no-video prior",
        detail=f"{figures}.",
        evidence=evidence,
    )


def thin_prior(seen: Evidences) -> Finding | None:
    """A prior that exists for a part of the clips only."""
    coverage = prior_coverage(seen.metrics)
    if not coverage:
        return None
    known = int(seen.metrics["prior"]["n_clips"])
    return Finding(
        severity="warning",
        title=f"There is a no-video prior only {coverage}",
        detail="The other clips have no demonstration of another group with the same scenario and "
        "events; prior and skill say nothing about them.",
        evidence={"with_prior": known, "clips": int(seen.metrics["n_clips"])},
    )


def length_alone(seen: Evidences) -> Finding | None:
    """Is the length of the clip, with the usual share of it, as good a guess as the answer?"""
    value, prior = dig(seen.metrics, "skill"), dig(seen.metrics, "prior/mre_percent")
    relative = dig(seen.metrics, "prior/relative/mre_percent")
    if value is None or prior is None or relative is None:
        return None
    own = prior * (1 - value)
    if own < relative or value <= 0:  # without skill there is nothing to explain
        return None
    return Finding(
        severity="gap",
        title="The length of the clip explains as much as the answers do",
        detail=f"Taking the other demonstrations' median shares of the clip's length gives an error "
        f"of {shown(relative, '%')}, the model's answers to the same clips {shown(own, '%')}.",
        evidence={"relative_prior_mre_percent": relative, "mre_percent": own},
    )


def looking(seen: Evidences) -> Finding | None:
    """Does the answer change for the worse when the video is another one?"""
    own = dig(seen.metrics, "ends/all/mre_percent")
    control = dig(seen.metrics, "wrong_video/ends/all/mre_percent")
    ratio = dig(seen.metrics, "wrong_video/mre_ratio")
    if own is None or control is None or ratio is None:
        return None
    figures = f"{short(control)}% with another clip against {short(own)}% with its own"
    evidence: Evidence = {"control_mre_percent": control, "mre_percent": own, "ratio": ratio}
    if ratio < 1.5:
        return Finding(
            severity="gap",
            title="The model does not look: another video gives nearly the same error",
            detail=f"{figures}, {short(ratio, 2)} times as much.",
            evidence=evidence,
        )
    if ratio >= 3:
        return Finding(
            severity="strength",
            title=f"The answers come from the video: another one makes them {short(ratio, 2)} times worse",
            detail=f"{figures}.",
            evidence=evidence,
        )
    return None


def unanswered(seen: Evidences) -> Finding | None:
    """Answers that could not be read, and clips that could not be decoded."""
    lost = [record for record, _ in seen.answers if record.value is None]
    if not lost:
        return None
    unread = sum(record.failed for record in lost)
    reasons: dict[str, int] = defaultdict(int)
    for record in lost:
        if not record.failed:
            reasons[record.unparsed or ""] += 1
    often = max(reasons, key=lambda reason: (reasons[reason], reason), default=None)
    share = len(lost) / len(seen.answers)
    parts = [f"{len(lost)} of {len(seen.answers)} answers count at their worst"]
    if unread:
        parts.append(f"{unread} because the clip could not be read")
    if often is not None:
        parts.append(f"the most frequent reason is: {often} ({reasons[often]} in all)")
    return Finding(
        severity="gap" if share >= 0.05 else "warning",
        title=f"{short(100 * share, 2)}% of the answers are missing or cannot be read",
        detail="; ".join(parts) + ".",
        evidence={"lost": len(lost), "records": len(seen.answers), "unreadable": unread},
    )


def events_found(seen: Evidences) -> Finding | None:
    """Events that parsed answers leave out or call by another name."""
    asked = missing = renamed = 0
    for record, events in seen.answers:
        if record.value is None:
            continue
        for event in events:
            if event.gold is not None:
                asked += 1
                missing += event.answer is None
                renamed += event.answer is not None and not event.named
    if not missing + renamed:
        return None
    share = (missing + renamed) / asked
    return Finding(
        severity="gap" if share >= 0.05 else "warning",
        title=f"{short(100 * share, 2)}% of the events are missing or named otherwise",
        detail=f"Of {asked} events in answers that could be read, {missing} have no times and "
        f"{renamed} have another name.",
        evidence={"asked": asked, "missing": missing, "renamed": renamed},
    )


def degenerate(seen: Evidences) -> Finding | None:
    """The same answer to every clip."""
    found = dig(seen.metrics, "degenerate")
    if not found:
        return None
    return Finding(
        severity="gap",
        title="The answers are the same whatever the clip",
        detail="The degenerate-answer check is raised: the figures above describe a constant, not "
        "what the model sees.",
        evidence={"degenerate": str(found)},
    )


def calibration(seen: Evidences) -> Finding | None:
    """Do the model's own 80 % intervals hold the truth as often as they say?"""
    if seen.inside is None or seen.inside[1] < 20:
        return None
    share = seen.inside[0] / seen.inside[1]
    evidence: Evidence = {"inside": seen.inside[0], "intervals": seen.inside[1], "share": share}
    figures = f"{seen.inside[0]} of {seen.inside[1]} true ends lie inside"
    if share < 0.65:
        return Finding(
            severity="warning",
            title=f"The model is too sure: its 80 % intervals hold {short(100 * share, 2)}% of the ends",
            detail=f"{figures}. Its confidence must be read with that in mind.",
            evidence=evidence,
        )
    if share > 0.93:
        return Finding(
            severity="warning",
            title=f"The model is less sure than it could be: {short(100 * share, 2)}% in its 80 % intervals",
            detail=f"{figures}: intervals are wider than they need to be.",
            evidence=evidence,
        )
    return Finding(
        severity="strength",
        title="The model knows how sure it may be",
        detail=f"{figures} its 80 % intervals ({short(100 * share, 2)}%).",
        evidence=evidence,
    )
