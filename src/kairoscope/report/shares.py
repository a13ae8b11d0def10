"""What pages of evaluations have in common whose answers are right in part: cards, findings, tags. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kairoscope.report.clips import Tag
from kairoscope.report.figures import Interval, counted
from kairoscope.report.findings import Finding
from kairoscope.report.page import value

FEW_GROUPS = 20
FEWEST_ANSWERED = 0.98


def percent(share: float | None) -> float | None:
    """A share as tables show it."""
    return None if share is None else 100 * share


def percent_ends(ends: list[float] | None) -> Interval | None:
    """An interval of shares as tables show it."""
    return None if ends is None else (100 * ends[0], 100 * ends[1])


def share_cards(rows: Sequence[tuple[str, float | None, str]]) -> list[dict[str, Any]]:
    """Cards of (label, share from 0 to 1 or None where it was not measured, note)."""
    return [
        {
            "label": label,
            "value": value(None if share is None else 100 * share, "%"),
            "note": note if share is not None else "not measured",
        }
        for label, share, note in rows
    ]


def reading(metrics: Mapping[str, Any], unread: str) -> Iterator[Finding]:
    """Were answers read, and are there enough groups? `unread`: what an answer that was not read counts as."""
    answered = metrics["answered"]
    if answered is not None and answered < FEWEST_ANSWERED:
        yield Finding(
            severity="gap",
            title=f"{1 - answered:.0%} of the answers could not be read",
            detail=f"{unread} Constrained decoding cannot write such.",
            evidence={"answered": answered},
        )
    if metrics["n_groups"] < FEW_GROUPS:
        yield Finding(
            severity="warning",
            title=f"Only {counted(metrics['n_groups'], 'group')} of clips",
            detail="Intervals are wide, and themselves uncertain, for so few.",
            evidence={"groups": metrics["n_groups"]},
        )


def share_tags(right: Sequence[float]) -> list[Tag]:
    """Marks of a clip: `right` is the share that each run has right of it, the judged one last."""
    tags = []
    if right[-1] == 1:
        tags.append(Tag(words="all right", kind="good"))
    elif right[-1] < 0.5:
        tags.append(Tag(words="less than half right", kind="bad"))
    if len(right) > 1 and abs(right[-1] - right[0]) > 0.05:
        better = right[-1] > right[0]
        tags.append(Tag(words="better" if better else "worse", kind="good" if better else "bad"))
    return tags
