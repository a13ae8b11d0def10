"""Rules over single answers: where the error lies and to which side. Pure."""

from collections import defaultdict
from statistics import fmean, median

from kairoscope.report.figures import dig
from kairoscope.report.findings import Evidences, Finding
from kairoscope.report.svg import short, signed


def bias(seen: Evidences) -> Finding | None:
    """Ends that are mostly too early or mostly too late."""
    by_group: dict[str, list[float]] = defaultdict(list)
    for record, events in seen.answers:
        for event in events:
            if event.end_error_s is not None:
                by_group[record.group].append(event.end_error_s)
    errors = [error for group in by_group.values() for error in group]
    if len(by_group) < 5:
        return None
    middle = median(errors)
    size = median(abs(error) for error in errors)
    same = sum((fmean(group) > 0) == (middle > 0) for group in by_group.values()) / len(by_group)
    if size <= 0 or abs(middle) < 0.5 * size or same < 0.7:
        return None
    side = "late" if middle > 0 else "early"
    return Finding(
        severity="gap",
        title=f"Ends come {short(abs(middle), 2)} s too {side}",
        detail=f"Half of all errors lie beyond {signed(middle)} s; {short(100 * same, 2)}% of the "
        f"{len(by_group)} demonstrations are {side} on average. The median size of an error is "
        f"{short(size, 2)} s.",
        evidence={"median_error_s": middle, "median_size_s": size, "groups_same_side": same},
    )


def worst_event(seen: Evidences) -> Finding | None:
    """An event that carries far more error than the others of its scenario."""
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record, events in seen.answers:
        for event in events:
            if event.end_error_s is not None:
                errors[record.scenario, event.name].append(abs(event.end_error_s))
    means = {key: fmean(values) for key, values in errors.items() if len(values) >= 5}
    if len(means) < 2:
        return None
    (scenario, name), worst = max(means.items(), key=lambda item: (item[1], item[0]))
    others = median(mean for key, mean in means.items() if key != (scenario, name))
    if worst < 1.75 * others:
        return None
    return Finding(
        severity="gap",
        title=f"The error is concentrated in one event: {name}",
        detail=f"Its end is off by {short(worst, 2)} s on average ({scenario}), the median of the "
        f"other events is {short(others, 2)} s.",
        evidence={"event": name, "mae_s": worst, "others_mae_s": others},
    )


def worst_scenario(seen: Evidences) -> Finding | None:
    """A scenario whose relative error is far above the others'."""
    scores: dict[str, list[float]] = defaultdict(list)
    for record, _ in seen.answers:
        scores[record.scenario].append(record.scores["mre_percent"])
    means = {name: fmean(values) for name, values in scores.items() if len(values) >= 5}
    if len(means) < 2:
        return None
    name, worst = max(means.items(), key=lambda item: (item[1], item[0]))
    others = median(mean for key, mean in means.items() if key != name)
    if worst < 1.5 * others:
        return None
    return Finding(
        severity="gap",
        title=f"The error is concentrated in one scenario: {name}",
        detail=f"Mean relative error {short(worst)}% there; the median of the other "
        f"{len(means) - 1} is {short(others)}%.",
        evidence={"scenario": name, "mre_percent": worst, "others_mre_percent": others},
    )


def long_tail(seen: Evidences) -> Finding | None:
    """A tenth of the clips that holds most of the error."""
    by_clip: dict[str, list[float]] = defaultdict(list)
    for record, _ in seen.answers:
        by_clip[record.sample_id].append(record.scores["mae_s"])
    errors = sorted((fmean(values) for values in by_clip.values()), reverse=True)
    total, tenth = sum(errors), max(1, len(errors) // 10)
    if len(errors) < 20 or total <= 0 or sum(errors[:tenth]) < 0.5 * total:
        return None
    share = sum(errors[:tenth]) / total
    return Finding(
        severity="warning",
        title=f"A few clips carry most of the error: {tenth} of {len(errors)} hold {short(100 * share, 2)}%",
        detail=f"Median error of a clip {short(median(errors), 2)} s, mean {short(total / len(errors), 2)} s. "
        "They stand first in the list of clips.",
        evidence={"clips": tenth, "share": share, "median_s": median(errors)},
    )


def starts_behind_ends(seen: Evidences) -> Finding | None:
    """Starts that are much worse than ends."""
    starts = dig(seen.metrics, "starts/all/mae_s")
    ends = dig(seen.metrics, "ends/all/mae_s")
    if not starts or not ends or starts < 1.5 * ends:
        return None
    return Finding(
        severity="warning",
        title="Starts are found less well than ends",
        detail=f"Mean absolute error {short(starts)} s for starts, {short(ends)} s for ends.",
        evidence={"starts_mae_s": starts, "ends_mae_s": ends},
    )


def few_clips(seen: Evidences) -> Finding | None:
    """Too few demonstrations for the figures to say much."""
    groups = len({record.group for record, _ in seen.answers})
    if groups >= 20:
        return None
    return Finding(
        severity="warning",
        title=f"Only {groups} demonstrations: the intervals are wide",
        detail="An interval over so few is itself uncertain; differences within it mean nothing.",
        evidence={"groups": groups},
    )
