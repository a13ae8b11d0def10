"""What a reader should notice in an evaluation of questions: rules over its figures. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from kairoscope.report.figures import counted, dig, shown
from kairoscope.report.findings import RANK, Finding
from kairoscope.report.page import interval
from kairoscope.report.questions.figures import choice_rows
from kairoscope.report.shares import percent_ends, reading

BIASED = 0.1
"""By how much a letter must be given more often than it is right to be called a habit."""
Metrics = Mapping[str, Any]


def analyse_questions(metrics: Metrics) -> list[Finding]:
    """The findings of one evaluation: gaps first, then warnings, then strengths."""
    found = [
        *_blind(metrics),
        *_constant(metrics),
        *_looking(metrics),
        *_habit(metrics),
        *_turning(metrics),
        *_reading(metrics),
    ]
    return sorted(found, key=lambda finding: RANK[finding.severity])


def _blind(metrics: Metrics) -> Iterator[Finding]:
    """Is more right with the clip than without?"""
    gain = dig(metrics, "blind/gain/difference")
    if gain is None:
        return
    right, blind = 100 * metrics["right"], 100 * metrics["blind"]["right"]
    ends = percent_ends(metrics["blind"]["gain"]["difference_ci95"])
    between = f" (95 %: {interval(ends)})" if ends else ""
    detail = (
        f"{shown(right, '%')} right with the clip, {shown(blind, '%')} by the same model without any: "
        f"{gain * 100:+.1f} points{between}."
    )
    evidence: dict[str, float | int | str] = {"right": right, "blind": blind}
    if ends and ends[0] > 0:
        title = "Seeing the clip makes more answers right"
        yield Finding(severity="strength", title=title, detail=detail, evidence=evidence)
    else:
        title = "No more is shown to be right than without the clip"
        yield Finding(severity="gap", title=title, detail=detail, evidence=evidence)


def _constant(metrics: Metrics) -> Iterator[Finding]:
    """Is more right than constant answers?"""
    table = metrics["choice"]
    if not table:
        return
    best, ends = 100 * table["commonest_answer"]["accuracy"], percent_ends(table["accuracy_ci95"])
    right = 100 * table["accuracy"]
    detail = (
        f"{shown(right, '%')} of {counted(table['n_questions'], 'question')} with choices are right"
        f"{f' (95 %: {interval(ends, chr(37))})' if ends else ''}; chance {shown(100 * table['chance'], '%')}, "
        f"the commonest answer of each kind {shown(best, '%')}."
    )
    evidence: dict[str, float | int | str] = {"right": right, "commonest": best}
    if ends and ends[0] > best:
        title = "More is right than by the commonest answers"
        yield Finding(severity="strength", title=title, detail=detail, evidence=evidence)
    elif right <= best:
        title = "The commonest answer of each kind is right as often"
        yield Finding(severity="gap", title=title, detail=detail, evidence=evidence)
    behind = [
        row["name"]
        for row in choice_rows(metrics)[1:]
        if row["interval"] and row["interval"][1] < row["by_constant"]
    ]
    if behind:
        yield Finding(
            severity="gap",
            title=f"Worse than the commonest answer: {', '.join(behind)}",
            detail="To these questions always giving the commonest answer would be right more often.",
            evidence={"kinds": ", ".join(behind)},
        )


def _looking(metrics: Metrics) -> Iterator[Finding]:
    """Do the answers depend on which clip it is?"""
    wrong, ends = metrics["wrong_video"], metrics["right_ci95"]
    if not wrong or wrong["right"] is None or not ends or ends[0] > wrong["right"]:
        return
    own, other = 100 * metrics["right"], 100 * wrong["right"]
    yield Finding(
        severity="gap",
        title="About the wrong clip it is as right",
        detail=f"{shown(own, '%')} right about the clip, {shown(other, '%')} about another one that was "
        "asked the same kind of question.",
        evidence={"own": own, "other": other},
    )


def _habit(metrics: Metrics) -> Iterator[Finding]:
    """Is a letter given more often than it is right?"""
    for row in metrics["letters"]:
        ends = row["given_ci95"]
        if ends and ends[0] > row["right"] + BIASED:
            yield Finding(
                severity="warning",
                title=f"{row['letter']} is given more often than it is right",
                detail=f"{shown(100 * row['given'], '%')} of the answers (95 %: "
                f"{interval(percent_ends(ends), '%')}), where it is right in "
                f"{shown(100 * row['right'], '%')}: where a choice stands counts, not what it says. "
                "--rotate-choices shows how much.",
                evidence={"given": row["given"], "right": row["right"]},
            )


def _turning(metrics: Metrics) -> Iterator[Finding]:
    """Do answers outlast another order of the choices?"""
    table = metrics["rotation"]
    if table and table["agreement"] < 0.9:
        yield Finding(
            severity="warning",
            title=f"{1 - table['agreement']:.0%} of the answers change with the order of the choices",
            detail=f"Asked {counted(table['n_questions'], 'question')} with every choice under every "
            f"letter; {shown(100 * table['all_right'], '%')} are right in every order.",
            evidence={"agreement": table["agreement"], "all_right": table["all_right"]},
        )


def _reading(metrics: Metrics) -> Iterator[Finding]:
    """Can the figures be believed?"""
    yield from reading(metrics, "They count as wrong.")
    if metrics["open"]:
        yield Finding(
            severity="warning",
            title="Open answers are compared by their words alone",
            detail="The very words, the overlap of words, BLEU and ROUGE-L measure wording. Beside them "
            "stands what the answer to another question gets. Meaning is for a judge.",
            evidence={"questions": metrics["open"]["n_questions"]},
        )
