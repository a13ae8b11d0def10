"""What the cells of a sweep are compared by: the headline of the recipe's task. Pure.

A headline is either a mean over answers (`Task.metrics`) or a figure of all of them together
(`Task.together_metrics`, such as a correlation). Of both, the same bootstrap draws of groups are taken for
every cell, so that the difference of two cells over the same clips has an interval of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from kairoscope.core import Answered, Record, Task, Unparsed
from kairoscope.metrics.bootstrap import Resamples, percentiles
from kairoscope.metrics.by_clip import records_by_clip
from kairoscope.report.figures import HEADLINE, Interval, dig

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    Floats = NDArray[float64]

Row = dict[str, Any]
Clips = Mapping[str, Sequence[Record]]
Over = Callable[["Floats"], "Floats"]
"""How often each clip comes in each draw (draws, clips) -> the headline in each (draws,)."""
DRAWS_AT_ONCE = 250
SUFFIXES = {"%": "%", "s": " s", "0 to 1": "%"}
"""Unit of a metric -> what stands behind its numbers. Shares are shown in percent."""
TIMES = HEADLINE.score.rsplit(".", 1)[-1]
BRIEFS = {TIMES: HEADLINE.brief, "expected_pearson": "Correlation", "fields_right": "Fields right"}
"""Key of a headline -> its title where there is little room."""
WITHOUT_LOOKING = {
    "caption": (
        "The commonest answers",
        "of each field, for every clip",
        "share of what the commonest answers get wrong",
    ),
    "score": (
        "The best constant",
        "one score for all clips",
        "1 − error ÷ that of the best constant",
    ),
    "question": (
        "The commonest answers",
        "of each kind of question, always",
        "share of what the commonest answers get wrong",
    ),
    None: ("No-video prior", "no pixels", "1 − error ÷ the prior's"),
}
"""`kind` of the metrics -> what is reached without pixels, a note, and what skill is."""
OTHERWISE = ("Without looking", "no pixels", "1 − error ÷ the error without looking")


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A task's headline as sweeps show it."""

    key: str
    label: str
    brief: str
    """The label where there is little room."""
    suffix: str
    factor: float
    """From the task's unit to what is shown."""
    better: Literal["lower", "higher"]
    is_mean: bool
    """A mean over answers; else a figure of all of them together."""


def headline_of(task: Task[Any, Any]) -> Headline:
    """How the headline of a task is called and shown."""
    metric = task.all_metrics[task.headline]
    return Headline(
        key=task.headline,
        label=metric.title,
        brief=BRIEFS.get(task.headline, metric.title),
        suffix=SUFFIXES.get(metric.unit, ""),
        factor=100.0 if metric.unit == "0 to 1" else 1.0,
        better="lower" if metric.best < metric.worst else "higher",
        is_mean=task.headline in task.metrics,
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """A headline over some clips, and in every bootstrap draw of their groups."""

    value: float
    draws_D: Floats | None
    """None for fewer than two groups."""
    num_clips: int

    @property
    def interval(self) -> Interval | None:
        """95 %."""
        found = None if self.draws_D is None else percentiles(self.draws_D)
        return None if found is None else (found[0], found[1])


def drawn(task: Task[Any, Any], records: Sequence[Record], draws: int) -> Drawn | None:
    """The task's headline over records, as it is shown; None without one that has a gold answer.

    Equal groups have equal draws, whatever the answers. With `draws` of 0, the value alone.
    """
    import numpy as np

    clips = records_by_clip(records)
    if not clips:
        return None
    headline = headline_of(task)
    resamples = Resamples([rows[0].group for rows in clips.values()], draws, seed=0)
    value, over = (_mean if headline.is_mean else _together)(task, clips)
    starts = range(0, draws if resamples.num_groups > 1 else 0, DRAWS_AT_ONCE)
    parts = [over(resamples.weights(first, first + DRAWS_AT_ONCE)) for first in starts]
    return Drawn(
        headline.factor * value,
        headline.factor * np.concatenate(parts) if parts else None,
        len(clips),
    )


def _mean(task: Task[Any, Any], clips: Clips) -> tuple[float, Over]:
    """A mean: over the trials of a clip first, then over clips."""
    import numpy as np

    values = [fmean(row.scores[task.headline] for row in rows) for rows in clips.values()]
    return fmean(values), lambda weights_DN: weights_DN @ np.array(values) / weights_DN.sum(axis=1)


def _together(task: Task[Any, Any], clips: Clips) -> tuple[float, Over]:
    """A figure of all answers together: a clip that is drawn twice has its answers twice."""
    import numpy as np

    answers = [[_answered(task, row) for row in rows] for rows in clips.values()]

    def of(times: Sequence[float]) -> float:
        some = [one for rows, n in zip(answers, times, strict=True) for one in rows * round(n)]
        return task.together(some)[task.headline]

    return of([1] * len(answers)), lambda weights_DN: np.array([of(row) for row in weights_DN])


def _answered(task: Task[Any, Any], record: Record) -> Answered:
    failed = record.unparsed is not None or record.value is None
    return Answered(
        value=Unparsed(record.unparsed or "no answer") if failed else task.from_json(record.value),
        expected=record.extra.get("expected"),
        gold=task.from_json(record.gold),
        group=record.group,
    )


def step_between(best: Drawn, other: Drawn, better: str) -> Row:
    """How far another cell is from the best over the same clips, on equal draws."""
    ends = None
    if best.draws_D is not None and other.draws_D is not None:
        ends = percentiles(other.draws_D - best.draws_D)
    clear = ends is not None and not ends[0] <= 0 <= ends[1]
    difference = other.value - best.value
    is_better = (difference < 0) == (better == "lower")
    return {
        "difference": difference,
        "interval": ends,
        "verdict": "not shown" if not clear else "better" if is_better else "worse",
        "n_clips": other.num_clips,
    }


def without_pixels(metrics: Mapping[str, Any], headline: Headline) -> float | None:
    """The headline of what is known without looking, where the task's summary has it."""
    bare = headline.key.removeprefix("expected_")
    constants = (metrics.get("baselines") or {}).values()
    found = [
        dig(metrics, f"prior/{headline.key}"),
        dig(metrics, f"baseline/{headline.key}"),
        *(constant.get(bare) for constant in constants),
    ]
    known = [headline.factor * value for value in found if value is not None]
    return (min if headline.better == "lower" else max)(known, default=None)


def words_of(metrics: Mapping[str, Any]) -> dict[str, str]:
    """How reports name what is reached without pixels, by the kind of metrics."""
    names = WITHOUT_LOOKING.get(metrics.get("kind"), OTHERWISE)
    return dict(zip(("prior", "prior_note", "skill_note"), names, strict=True))


def group_word(task: Task[Any, Any]) -> str:
    """What is resampled, as a reader knows it."""
    return "demonstration" if task.headline == TIMES else "group"
