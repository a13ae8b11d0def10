"""The figures of an evaluation of scores, in the order and words of every table. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kairoscope.report.figures import Interval, shown

KIND = "score"
"""What `metrics.json` of such an evaluation says it is, under `kind`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFigure:
    """One figure of a reading (the digit, or the expected score)."""

    key: str
    label: str
    better: Literal["lower", "higher", ""]
    suffix: str = ""
    factor: float = 1.0
    """Shares are shown in percent."""


def _share(key: str, label: str) -> ScoreFigure:
    return ScoreFigure(key=key, label=label, better="higher", suffix="%", factor=100.0)


SCORE_FIGURES: tuple[ScoreFigure, ...] = (
    ScoreFigure(key="pearson", label="Pearson correlation", better="higher"),
    ScoreFigure(key="spearman", label="Spearman correlation", better="higher"),
    ScoreFigure(key="kappa", label="Quadratic-weighted kappa", better="higher"),
    ScoreFigure(key="mae", label="Mean absolute error", better="lower"),
    _share("exact", "Exact"),
    _share("within_one", "Within one"),
    ScoreFigure(key="bias", label="Bias (answered − true)", better=""),
    _share("precision", "Precision of good"),
    _share("recall", "Recall of good"),
    _share("f1", "F1 of good"),
)
HEADLINE = SCORE_FIGURES[0]
READING_NAMES = {"expected": "Expected score", "digit": "Digit"}


def is_score(metrics: Mapping[str, Any] | None) -> bool:
    """Whether these are the metrics of scores, and not of times of events."""
    return metrics is not None and metrics.get("kind") == KIND


def best_reading(metrics: Mapping[str, Any]) -> str:
    """`expected` where the engine gives distributions, else `digit`."""
    return "expected" if metrics.get("expected") else "digit"


def number(table: Mapping[str, Any] | None, figure: ScoreFigure) -> float | None:
    """The figure as it is shown, or None."""
    value = None if not table else table.get(figure.key)
    return None if value is None else figure.factor * float(value)


def ends(
    table: Mapping[str, Any] | None, figure: ScoreFigure, key: str = "{}_ci95"
) -> Interval | None:
    """Its interval as it is shown, or None."""
    found: Sequence[float] | None = None if not table else table.get(key.format(figure.key))
    return None if found is None else (figure.factor * found[0], figure.factor * found[1])


def verdict(figure: ScoreFigure, interval: Interval | None) -> str:
    """`better` or `worse` where the interval of a difference leaves zero out, else `not shown`.

    `changed` of a figure that has no better side.
    """
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "not shown"
    if not figure.better:
        return "changed"
    return "better" if (interval[0] > 0) == (figure.better == "higher") else "worse"


def in_words(value: float | None, figure: ScoreFigure) -> str:
    """A figure as text; a dash where there is none."""
    return "–" if value is None else shown(value, figure.suffix)
