"""Tables and goals of the benchmark. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.mimicgen.measures import (
    Ends,
    Errors,
    Estimate,
    boundary_errors,
    paired_ratio,
    wilson,
)
from benchmarks.mimicgen.tasks import Case
from benchmarks.results import Goal, Result, Table

TITLES = {
    "true": "true (the simulator's own)",
    "signals": "robot signals alone, no label",
    "fused": "signals, model and 3 examples",
    "video": "video alone, 3 examples",
    "shifted": "true ones, each moved by 20 % of its subtask",
}
SAME = 0.98
"""Of the true boundaries' rate that signals, and everything together, each are to reach."""
VIDEO = {"stack": 0.90, "stack_three": 0.85}
ENOUGH = 100
"""Attempts with each annotation, below which a goal counts as not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One annotation of a task's source demonstrations, and what MimicGen made of it."""

    key: str
    ends: Mapping[str, tuple[int, ...] | None]
    """Of every source demonstration; None where it got no boundaries that generation takes."""
    rows: tuple[dict[str, Any], ...]
    """Of `generate`, by attempt."""

    @property
    def successes(self) -> list[bool]:
        """By attempt."""
        return [bool(row["success"]) for row in self.rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutcome:
    """A task, measured."""

    case: Case
    fps: float
    true: Ends
    num_frames: Mapping[str, int]
    """Of every recorded demonstration."""
    examples: tuple[str, ...]
    outcomes: tuple[Outcome, ...]

    def successes(self, key: str) -> list[bool]:
        """Of an annotation, by attempt."""
        return next(one.successes for one in self.outcomes if one.key == key)

    def ratio(self, outcome: Outcome) -> Estimate | None:
        """Its success rate over that of the true boundaries; None where there is none."""
        if not outcome.rows:
            return None
        return paired_ratio(outcome.successes, self.successes("true"))

    def errors(self, outcome: Outcome) -> Errors | None:
        """How far it is off; None where it has no boundary at all."""
        if not any(outcome.ends.values()):
            return None
        return boundary_errors(outcome.ends, self.true, self.fps)


def result(tasks: Sequence[TaskOutcome]) -> Result:
    """The page."""
    return Result(
        name="mimicgen",
        title="MimicGen's generation with our boundaries",
        what=(
            "Scripted policies recorded demonstrations in MimicGen's own environments (other speeds, "
            "heights, pauses and wobble each time; a chance of one in five to miss the first grasp; failed ones "
            "thrown away). Their subtask signals were removed and annotated again by `kairoscope "
            "annotate`, and MimicGen generated from each annotation, with the settings of its core "
            "configurations. Attempt i begins with seed i under every annotation: the same scene, the "
            "same offsets. The three examples that are labelled for the model and the prior, chosen by "
            "`annotate --examples 3`, are not among the demonstrations that are generated from."
        ),
        tables=tuple(table for task in tasks for table in (_rates(task), _errors(task))),
        goals=tuple(goal for task in tasks for goal in _goals(task)),
        notes=(
            "rates: Wilson 95 %. Ratios: 95 % for paired proportions (Bonett and Price); both hold "
            "for these recorded demonstrations, the draw of which they do not count",
            "errors are taken over the source demonstrations; a share is of the true duration of the "
            "subtask that the boundary ends",
            f"with fewer than {ENOUGH} attempts a goal counts as not measured, whatever the ratio",
            "where signals decide every event, `annotate` does not ask the model: fused boundaries can "
            "then be those of the signals alone",
            "annotations with the same boundaries share their attempts: a seed gives the same outcome",
        ),
        data={"tasks": [_data(task) for task in tasks]},
        packages=("h5py",),
    )


def _rates(task: TaskOutcome) -> Table:
    rows = []
    for outcome in task.outcomes:
        usable = sum(own is not None for own in outcome.ends.values())
        good, tried = sum(outcome.successes), len(outcome.rows)
        rate = _share(wilson(good, tried)) if tried else "not measured"
        ratio = task.ratio(outcome)
        shown = "1" if outcome.key == "true" else _ratio(ratio)
        title = TITLES[outcome.key]
        shown = shown if tried else "not measured"
        share = f"{usable} of {len(task.true)}" if usable else "not annotated"
        rows.append((title, share, f"{good} of {tried}", rate, shown))
    seconds = [length / task.fps for length in task.num_frames.values()]
    spread = f"{min(seconds):.1f} to {max(seconds):.1f} s long"
    columns = ("boundaries", "demonstrations", "successes", "rate, %", "ratio to the true ones")
    title = f"{task.case.environment}: {len(seconds)} demonstrations, {spread}"
    return Table(title=title, columns=columns, rows=tuple(rows))


def _errors(task: TaskOutcome) -> Table:
    rows = []
    for outcome in task.outcomes:
        errors = task.errors(outcome)
        if outcome.key == "true" or errors is None:
            continue
        figures = (errors.median_s, errors.mean_s, errors.worst_s)
        rows.append(
            (
                TITLES[outcome.key],
                f"{errors.num_boundaries} ({errors.num_missing} missing)",
                *(f"{figure:.3f}" for figure in figures),
                f"{errors.bias_s:+.3f}",
                f"{100 * errors.mean_share:.1f}",
            )
        )
    columns = ("boundaries", "n", "median s", "mean s", "worst s", "bias s", "mean % of subtask")
    title = f"{task.case.environment}: how far the boundaries are off"
    return Table(title=title, columns=columns, rows=tuple(rows))


def _share(rate: Estimate) -> str:
    return f"{100 * rate.value:.0f} ({100 * rate.low:.0f} to {100 * rate.high:.0f})"


def _ratio(ratio: Estimate | None) -> str:
    if ratio is None:
        return "not measured"
    return f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"


def _goals(task: TaskOutcome) -> list[Goal]:
    """One for each annotation that promised something about this task."""
    promised = {"signals": SAME, "fused": SAME, "video": VIDEO.get(task.case.key)}
    goals = []
    for outcome in task.outcomes:
        limit = promised.get(outcome.key)
        if limit is None or task.case.key not in VIDEO:
            continue
        ratio = task.ratio(outcome)
        goals.append(
            Goal(
                text=f"MimicGen's success rate over that with true boundaries: {TITLES[outcome.key]}",
                limit=limit,
                value=ratio.value if ratio and len(outcome.rows) >= ENOUGH else None,
                at_least=True,
                case=task.case.environment,
            )
        )
    return goals


def _data(task: TaskOutcome) -> dict[str, Any]:
    outcomes = {}
    for outcome in task.outcomes:
        errors, ratio = task.errors(outcome), task.ratio(outcome)
        outcomes[outcome.key] = {
            "ends": outcome.ends,
            "successes": outcome.successes,
            "ratio": asdict(ratio) if ratio else None,
            "errors": asdict(errors) if errors else None,
        }
    return {
        "environment": task.case.environment,
        "num_frames": dict(task.num_frames),
        "examples": list(task.examples),
        "annotations": outcomes,
    }
