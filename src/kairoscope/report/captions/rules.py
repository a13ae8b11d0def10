"""What a reader should notice in an evaluation of captions: rules over its figures. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from kairoscope.report.captions.figures import field_rows
from kairoscope.report.figures import counted, shown
from kairoscope.report.findings import RANK, Finding
from kairoscope.report.page import interval
from kairoscope.report.shares import reading

Metrics = Mapping[str, Any]


def analyse_captions(metrics: Metrics) -> list[Finding]:
    """The findings of one evaluation: gaps first, then warnings, then strengths."""
    found = [*_overall(metrics), *_constant(metrics), *_looking(metrics), *_reading(metrics)]
    return sorted(found, key=lambda finding: RANK[finding.severity])


def _overall(metrics: Metrics) -> Iterator[Finding]:
    """Is more right than the commonest answer of each field?"""
    skill, ends = metrics["skill"], metrics["fields_right_ci95"]
    if skill is None or metrics["fields_right"] is None:
        return
    right, blind = 100 * metrics["fields_right"], 100 * metrics["baseline"]["fields_right"]
    words = f"{shown(right, '%')} of the fields are right"
    if ends:
        words += f" (95 %: {interval([100 * end for end in ends], '%')})"
    detail = f"{words}; the commonest answer of each field gets {shown(blind, '%')}."
    evidence: dict[str, float | int | str] = {"fields_right": right, "blind": blind}
    if skill <= 0:
        title = "No more is right than without looking"
        yield Finding(severity="gap", title=title, detail=detail, evidence=evidence)
    else:
        title = f"{skill:.0%} of what the commonest answers get wrong is right"
        severity = "strength" if ends and 100 * ends[0] > blind else "warning"
        yield Finding(severity=severity, title=title, detail=detail, evidence=evidence)  # type: ignore[arg-type]


def _constant(metrics: Metrics) -> Iterator[Finding]:
    """Which closed fields are won, if at all, by always saying the same?"""
    won = []
    for name, table in metrics["fields"].items():
        kappa = table.get("kappa")
        if kappa is not None and kappa < 0.05 and table["score"] >= 0.8:
            won.append(name.replace("_", " "))
    if won:
        yield Finding(
            severity="warning",
            title=f"{' and '.join(won)}: right without looking",
            detail="Nearly all clips have the same label there, and saying it always is what the "
            "accuracy shows: kappa is near 0. Read balanced accuracy instead.",
            evidence={"fields": ", ".join(won)},
        )
    behind = [
        row["name"]
        for row in field_rows(metrics)
        if not row["is_text"]
        and row["score"] is not None
        and row["blind"] is not None
        and row["interval"] is not None
        and row["interval"][1] < row["blind"]
    ]
    if behind:
        yield Finding(
            severity="gap",
            title=f"Worse than the commonest answer: {', '.join(behind)}",
            detail="In these fields always saying the commonest label would be right more often.",
            evidence={"fields": ", ".join(behind)},
        )


def _looking(metrics: Metrics) -> Iterator[Finding]:
    """Do the answers depend on the video?"""
    wrong = metrics["wrong_video"]
    if not wrong or wrong["fields_right"] is None or metrics["fields_right"] is None:
        return
    own, other = 100 * metrics["fields_right"], 100 * wrong["fields_right"]
    detail = f"{shown(own, '%')} right about the clip, {shown(other, '%')} about another one."
    evidence: dict[str, float | int | str] = {"own": own, "other": other}
    ends = metrics["fields_right_ci95"]
    if ends and 100 * ends[0] <= other:
        title = "About the wrong clip it is as right"
        yield Finding(severity="gap", title=title, detail=detail, evidence=evidence)
    else:
        title = "What it says comes from the video"
        yield Finding(severity="strength", title=title, detail=detail, evidence=evidence)


def _reading(metrics: Metrics) -> Iterator[Finding]:
    """Can the figures be believed?"""
    yield from reading(metrics, "They count as wrong in every field.")
    texts = [name for name, table in metrics["fields"].items() if table["kind"] == "text"]
    if texts:
        yield Finding(
            severity="warning",
            title="Texts are compared by their words alone",
            detail=f"Of {counted(len(texts), 'field')} of text the table shows how far the wording "
            "overlaps with the label's, beside what another clip's label gets. That is no measure of "
            "meaning; ask a judge for that: kairoscope judge.",
            evidence={"texts": len(texts)},
        )
