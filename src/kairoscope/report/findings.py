"""A computed statement about runs, as pages and `analysis.json` hold it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kairoscope.core import Record
from kairoscope.report.boundaries import EventView

Severity = Literal["gap", "warning", "strength"]
RANK: dict[Severity, int] = {"gap": 0, "warning": 1, "strength": 2}
Evidence = dict[str, float | int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One computed statement."""

    severity: Severity
    """`gap`: keeps the model from its goal. `warning`: read the figures with this in mind.
    `strength`: measured and good."""
    title: str
    detail: str
    evidence: Evidence = field(default_factory=dict)

    @property
    def colour(self) -> str:
        """Class of its mark in a page."""
        return {"gap": "bad", "warning": "warn", "strength": "good"}[self.severity]


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """A finding as it stands in `analysis.json`."""
    return asdict(finding)


def finding_from_json(row: Mapping[str, Any]) -> Finding:
    """The inverse of `finding_to_json`."""
    return Finding(**row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidences:
    """What the rules look at."""

    metrics: Mapping[str, Any]
    """`metrics.json` of the run."""
    answers: Sequence[tuple[Record, Sequence[EventView]]]
    """Every record with its events laid beside the truth."""
    targets: Mapping[str, float]
    """Metric key -> value at which the recipe counts as solved; `mre_percent` is known."""
    inside: tuple[int, int] | None = None
    """(true ends inside the model's own 80 % interval, ends that have one)."""
