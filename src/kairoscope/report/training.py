"""What a training run wrote, and its curves. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kairoscope.core import UserError
from kairoscope.report.blocks import Plot
from kairoscope.report.curves import Series, curves
from kairoscope.runs import Run

STEP_KEY = ("kind", "step")
HELD_OUT: tuple[tuple[str, str, Literal["lower", "higher"]], ...] = (
    ("mre_percent", "% relative error of ends", "lower"),
    ("mae_s", "s absolute error of ends", "lower"),
    ("expected_pearson", "correlation of the expected score", "higher"),
    ("fields_right", "share of the fields that are right", "higher"),
    ("accuracy", "share of the answers that are right", "higher"),
    ("words", "share of words in common (F1)", "higher"),
)
"""Held-out metrics by which a training is shown: the first that its rows have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingLog:
    """The rows of a run's `train.jsonl` by kind."""

    config: Mapping[str, Any]
    """`SFTConfig` as JSON, with what the run was about (`model`, `data`, ...) beside it."""
    steps: Sequence[Mapping[str, Any]]
    held_out: Sequence[Mapping[str, Any]]
    checks: Sequence[Mapping[str, Any]]
    result: Mapping[str, Any] | None = None
    """What the run came to, once it has ended."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The `SFTConfig`."""
        found: Mapping[str, Any] = self.config.get("sft", {})
        return found

    @property
    def finished(self) -> bool:
        """Whether the run came to its end: its last step, or where it ran out of patience."""
        if self.result is not None:
            return True
        return bool(self.steps) and self.steps[-1]["step"] >= self.steps[-1].get("of", 0)

    @property
    def seconds(self) -> float:
        """Time spent in optimiser steps, over all sessions of the run."""
        return sum(float(row.get("seconds", 0.0)) for row in self.steps)

    def best(self, key: str = "mre_percent") -> Mapping[str, Any] | None:
        """The held-out row with the best value; None where none was measured."""
        known = [row for row in self.held_out if row.get(key) is not None]
        sign = next((-1 for name, _, better in HELD_OUT if name == key and better == "higher"), 1)
        return min(known, key=lambda row: (sign * row[key], row["step"]), default=None)


def read_training(run: Run) -> TrainingLog:
    """The log of an SFT run; of two rows about one step (after a kill) the first counts."""
    if run.kind != "sft":
        raise UserError(f"{run.path}: holds a run of kind {run.kind!r}, not a training run")
    rows = run.records("train", key=STEP_KEY)
    by_kind = {
        kind: sorted((r for r in rows if r["kind"] == kind), key=lambda r: r.get("step", 0))
        for kind in ("step", "held_out", "check")
    }
    return TrainingLog(
        config=run.config,
        steps=by_kind["step"],
        held_out=by_kind["held_out"],
        checks=by_kind["check"],
        result=run.read_json("result.json"),
    )


def training_plots(log: TrainingLog, targets: Mapping[str, float]) -> list[Plot]:
    """Loss, held-out metric and learning rate over the steps, as far as they were written."""
    plots = []
    if log.steps:
        loss = [(row["step"], row["loss"]) for row in log.steps]
        series = [Series(label="answer", points=loss, smooth=len(loss) > 40)]
        if any(row.get("dense_loss") for row in log.steps):
            dense = [(row["step"], row["dense_loss"]) for row in log.steps]
            series.append(Series(label="dense", points=dense, smooth=True, colour="other"))
        markup = curves(series, title="Training loss", unit="loss, nats a token")
        plots.append(Plot("training_loss", markup, "Training loss"))
    for key, unit, _ in HELD_OUT:
        points = [(r["step"], r[key]) for r in log.held_out if r.get(key) is not None]
        if points:
            line = Series(label="held out", points=points, marks=True, colour="model")
            markup = curves([line], title="Held-out metric", unit=unit, aim=targets.get(key))
            plots.append(Plot(f"held_out_{key}", markup, "The task's metric on held-out clips"))
            break
    if log.steps:
        rates = [(row["step"], row["learning_rate"]) for row in log.steps]
        line = Series(label="learning rate", points=rates, colour="ink")
        markup = curves([line], title="Learning rate", unit="learning rate")
        plots.append(Plot("learning_rate", markup, "Learning rate"))
    return plots
