"""Everything that a recipe's run folder holds, read once; what was not run is None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kairoscope.core import Record, UserError
from kairoscope.report.analysis import analyse_run, read_analysis
from kairoscope.report.comparison.paired import ClipScores, Difference, clip_scores, differences
from kairoscope.report.figures import Figure, figures
from kairoscope.report.findings import Finding
from kairoscope.report.training import TrainingLog, read_training
from kairoscope.runs import Run, read_metrics, read_records


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A finished evaluation run."""

    run: Run
    metrics: Mapping[str, Any]

    @cached_property
    def records(self) -> list[Record]:
        """By sample and trial, without posteriors."""
        return read_records(self.run)

    @cached_property
    def scores(self) -> dict[str, ClipScores]:
        """Sample id -> its scores."""
        return clip_scores(self.records)

    @cached_property
    def doubts(self) -> Mapping[str, Any] | None:
        """Labels that the model contradicts, where that was found out."""
        found: Mapping[str, Any] | None = self.run.read_json("label_doubts.json")
        return found

    @property
    def is_of_times(self) -> bool:
        """Whether the answers are times of events."""
        return self.metrics.get("kind") is None

    @cached_property
    def by_score(self) -> dict[str, Figure]:
        """Score -> the figure of the run."""
        return {figure.kind.score: figure for figure in figures(self.metrics)}


@dataclass(frozen=True, kw_only=True)
class RecipeRun:
    """A run of a whole recipe."""

    folder: Path
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    benchmark: Mapping[str, Any] | None
    zero_shot: Evaluated | None
    findings: Sequence[Finding] | None
    """Of the zero-shot evaluation, from `analysis.json`."""
    curation: Mapping[str, Any] | None
    training: TrainingLog | None
    training_run: Run | None
    re_evaluation: Evaluated | None
    grpo_run: Run | None = None
    """Reinforcement learning on top of the training, where there was one."""
    after_grpo: Evaluated | None = None

    @property
    def targets(self) -> Mapping[str, float]:
        """Metric key -> value at which the recipe counts as solved."""
        found: Mapping[str, float] = self.config.get("targets", {})
        return found

    @property
    def title(self) -> str:
        """The recipe's title."""
        return str(self.config.get("title") or self.config.get("recipe") or "Recipe")

    @cached_property
    def differences(self) -> list[Difference]:
        """Before and after, over the clips that both evaluations have, of times of events."""
        if self.zero_shot is None or self.re_evaluation is None:
            return []
        if not self.zero_shot.is_of_times:
            return []
        return differences(self.zero_shot.scores, self.re_evaluation.scores)

    @cached_property
    def remaining(self) -> list[Finding]:
        """The findings of the evaluation after training."""
        if self.re_evaluation is None:
            return []
        return analyse_run(self.re_evaluation.run, self.targets)


def read_recipe_run(folder: Path) -> RecipeRun:
    """Read a recipe's folder. Raises `UserError` where it is no run of a recipe."""
    run = Run.read(folder)
    if run.kind != "recipe":
        raise UserError(f"{folder}: holds a run of kind {run.kind!r}, not of a recipe")
    analysis = folder / "analysis.json"
    training_run = _sub_run(folder / "sft")
    return RecipeRun(
        folder=folder,
        config=run.config,
        environment=run.read_json("environment.json") or {},
        benchmark=run.read_json("benchmark.json"),
        zero_shot=_evaluated(folder / "zero_shot"),
        findings=read_analysis(analysis) if analysis.exists() else None,
        curation=run.read_json("curation.json"),
        training=None if training_run is None else read_training(training_run),
        training_run=training_run,
        re_evaluation=_evaluated(folder / "re_evaluation"),
        grpo_run=_sub_run(folder / "grpo"),
        after_grpo=_evaluated(folder / "after_grpo"),
    )


def _sub_run(folder: Path) -> Run | None:
    return Run.read(folder) if (folder / "config.json").exists() else None


def _evaluated(folder: Path) -> Evaluated | None:
    """An evaluation that is finished; one that was stopped half way has no figures yet."""
    run = _sub_run(folder)
    metrics = None if run is None else read_metrics(run)
    return None if run is None or metrics is None else Evaluated(run=run, metrics=metrics)
