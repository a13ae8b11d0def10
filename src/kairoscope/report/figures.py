"""The figures of `metrics.json` in the order and words in which every table shows them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kairoscope.core import UserError

Interval = tuple[float, float]


def dig(metrics: Mapping[str, Any] | None, path: str) -> Any:
    """`dig(m, "ends/all/mae_s")` is `m["ends"]["all"]["mae_s"]`, or None where a key is absent."""
    found: Any = metrics
    for key in path.split("/"):
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureKind:
    """A figure and where its parts stand in `metrics.json`; an empty path is a part it lacks."""

    path: str
    label: str
    brief: str
    """The label where there is little room."""
    suffix: str
    """Its unit as it follows the number: `%`, ` s`, or nothing for shares of 1."""
    better: Literal["lower", "higher"]
    score: str
    """The column of `metrics.clips.answer_columns` that it is the mean of."""
    interval: str
    answered_only: str = ""
    prior: str = ""
    skill: str = ""


KINDS = (
    FigureKind(
        path="ends/all/mre_percent",
        label="Mean relative error of ends",
        brief="Ends, relative",
        suffix="%",
        better="lower",
        score="ends.all.mre_percent",
        interval="ends/all/mre_ci95",
        answered_only="ends/answered_only/mre_percent",
        prior="prior/mre_percent",
        skill="skill",
    ),
    FigureKind(
        path="ends/all/mae_s",
        label="Mean absolute error of ends",
        brief="Ends, absolute",
        suffix=" s",
        better="lower",
        score="ends.all.mae_s",
        interval="ends/all/mae_ci95",
        answered_only="ends/answered_only/mae_s",
        prior="prior/mae_s",
        skill="skill_mae",
    ),
    FigureKind(
        path="starts/all/mae_s",
        label="Mean absolute error of starts",
        brief="Starts, absolute",
        suffix=" s",
        better="lower",
        score="starts.all.mae_s",
        interval="starts/all/mae_ci95",
        answered_only="starts/answered_only/mae_s",
    ),
    FigureKind(
        path="tiou_mean",
        label="Temporal IoU",
        brief="tIoU",
        suffix="",
        better="higher",
        score="tiou",
        interval="tiou_ci95",
    ),
    FigureKind(
        path="recall/0.5",
        label="Events with tIoU of 0.5 or more",
        brief="tIoU at 0.5",
        suffix="",
        better="higher",
        score="recall.0.5",
        interval="recall_ci95/0.5",
    ),
    FigureKind(
        path="recall/0.7",
        label="Events with tIoU of 0.7 or more",
        brief="tIoU at 0.7",
        suffix="",
        better="higher",
        score="recall.0.7",
        interval="recall_ci95/0.7",
    ),
    FigureKind(
        path="hit_rate",
        label="Ends within 30 % of their subtask",
        brief="Ends within 30 %",
        suffix="",
        better="higher",
        score="hit",
        interval="hit_rate_ci95",
    ),
    FigureKind(
        path="events_found",
        label="Events found and named",
        brief="Events named",
        suffix="",
        better="higher",
        score="found",
        interval="events_found_ci95",
    ),
)
HEADLINE = KINDS[0]
"""The figure that stands first everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a run; parts that it lacks are None."""

    kind: FigureKind
    value: float
    interval: Interval | None
    answered_only: float | None
    prior: float | None
    skill: float | None
    """1 - error / prior's error, over the clips that have both."""
    control: float | None
    """The same figure for the wrong video."""
    num_clips: int

    @property
    def label(self) -> str:
        """What it is, for people."""
        return self.kind.label

    @property
    def suffix(self) -> str:
        """Its unit as it follows the number."""
        return self.kind.suffix


def step_unit(suffix: str) -> str:
    """The unit of a difference: that of two percentages is points."""
    return " points" if suffix == "%" else suffix


def figures(metrics: Mapping[str, Any]) -> list[Figure]:
    """The figures that a `metrics.json` (or one scenario of it) holds, in the order of `KINDS`."""
    found = []
    for kind in KINDS:
        value = _number(metrics, kind.path)
        if value is not None:
            found.append(
                Figure(
                    kind=kind,
                    value=value,
                    interval=_interval(metrics, kind.interval),
                    answered_only=_number(metrics, kind.answered_only),
                    prior=_number(metrics, kind.prior),
                    skill=_number(metrics, kind.skill),
                    control=_number(dig(metrics, "wrong_video"), kind.path),
                    num_clips=int(metrics["n_clips"]),
                )
            )
    return found


def headline(metrics: Mapping[str, Any]) -> Figure:
    """The figure of `HEADLINE`. Raises `UserError` for metrics of another kind of task."""
    first = next(iter(figures(metrics)), None)
    if first is None or first.kind is not HEADLINE:
        raise UserError(f"the metrics lack {HEADLINE.path}: they are not of times of events")
    return first


def counted(number: int, what: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def prior_coverage(metrics: Mapping[str, Any]) -> str:
    """`for 4 of 10 clips` where not every clip has others to take a prior from, else nothing."""
    known, given = dig(metrics, "prior/n_clips"), metrics["n_clips"]
    return "" if known is None or known == given else f"for {known} of {given} clips"


def _number(metrics: Mapping[str, Any] | None, path: str) -> float | None:
    value = dig(metrics, path) if path else None
    return None if value is None else float(value)


def _interval(metrics: Mapping[str, Any], path: str) -> Interval | None:
    ends = dig(metrics, path)
    return None if ends is None else (float(ends[0]), float(ends[1]))


def shown(number: float, unit: str = "", *, bare: bool = False) -> str:
    """A figure in the decimals of its unit: 9.8%, 0.194 s, 0.44. `bare` leaves the unit out."""
    decimals = {"%": 1, " points": 1, " s": 3}.get(unit, 2)
    # Adding 0 turns the -0.0 that a small negative number rounds to into 0.0.
    words = f"{round(number, decimals) + 0.0:.{decimals}f}".replace("-", "−")
    return words if bare else f"{words}{unit}"
