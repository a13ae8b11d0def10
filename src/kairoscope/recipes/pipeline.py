"""A whole recipe in one run folder: evaluate, analyse, curate, train, evaluate again, report.

    config.json                 what was asked: recipe, data, model, settings
    benchmark.json              what the test clips are
    zero_shot/ re_evaluation/   evaluation runs on the same test clips, and the labels that are doubted
    analysis.json               gaps found in the zero-shot answers
    curation.json               every training clip, kept or left out and why
    sft/                        the training run and its best checkpoint
    grpo/ after_grpo/           where it is asked for: reinforcement learning on top, and its evaluation
    recipe.md recipe.html       the document, from the files above and nothing else

Every stage can be run alone and again; a finished one is not repeated.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kairoscope.config import EvalConfig, GRPOConfig, Recipe, SFTConfig
from kairoscope.core import UserError
from kairoscope.evaluate import evaluation_settings
from kairoscope.models.names import located
from kairoscope.recipes.benchmark import Splits, describe, load_splits
from kairoscope.recipes.curating import curate_stage
from kairoscope.recipes.label_check import write_doubts
from kairoscope.recipes.stages import Frames, Progress, evaluate_stage, load_engine
from kairoscope.recipes.training import train_stage
from kairoscope.report.analysis import write_analysis
from kairoscope.report.labels.counts import counts_by_slot
from kairoscope.report.recipe.document import write_recipe_document
from kairoscope.runs import Run
from kairoscope.storage import plain
from kairoscope.store import AnswerStore
from kairoscope.train.schedule import num_steps, warmup_advice

STAGES = ("benchmark", "zero-shot", "analysis", "curation", "sft", "re-evaluation", "report")
GRPO_STAGES = (*STAGES[:-1], "grpo", "grpo-evaluation", "report")
"""With reinforcement learning on top of the fine-tuning."""
MADE_BY = {
    "benchmark": "benchmark.json",
    "zero-shot": "zero_shot/metrics.json",
    "analysis": "analysis.json",
    "curation": "curation.json",
    "sft": "sft/result.json",
    "re-evaluation": "re_evaluation/metrics.json",
    "grpo": "grpo/result.json",
    "grpo-evaluation": "after_grpo/metrics.json",
    "report": "recipe.html",
}
"""Stage -> the file that is there once it is done."""
HELD_OUT_SHARE = 0.15
BEST, BEST_GRPO = "sft/best", "grpo/best"
"""The trained checkpoints, below the run folder; also what evaluations of them call their model."""
JUDGED = {
    "zero_shot": ("", "", "zero-shot"),
    "re_evaluation": (BEST, "sft", "after training"),
    "after_grpo": (BEST_GRPO, "grpo", "after reinforcement learning"),
}
"""Folder of an evaluation -> the checkpoint, the stage that makes it, and what progress says."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Everything that the stages share."""

    recipe: Recipe
    model: str
    data: Path
    out: Path
    evaluation: EvalConfig
    sft: SFTConfig
    grpo: GRPOConfig | None = None
    """Reinforcement learning after the fine-tuning, where it is asked for. Not part of `config`: it may be
    asked for later."""
    frames: Frames
    device: str | None
    on_progress: Progress
    prompt: Path | None = None
    on_advice: Callable[[str], None] | None = None
    """Told what is allowed and yet hardly meant."""
    store: AnswerStore | None = None
    """Looked into before a model is asked."""

    @property
    def stages(self) -> tuple[str, ...]:
        """All of them, in order."""
        return STAGES if self.grpo is None else GRPO_STAGES

    def config(self) -> dict[str, Any]:
        """What makes two runs of the recipe the same one."""
        settings = {
            "recipe": self.recipe.name,
            "title": self.recipe.title,
            "task_version": self.recipe.task.version,
            "success": self.recipe.success,
            "targets": dict(self.recipe.targets),
            "model": self.model,
            "data": str(self.data.resolve()),
            "evaluation": evaluation_settings(self.evaluation),
            "sft": plain(self.sft),
            "frames": dict(self.frames),
        }
        if self.prompt is not None:
            settings["prompt"] = self.prompt.read_text(encoding="utf-8")
        return settings


def check_stages(stages: Sequence[str], allowed: Sequence[str] = STAGES) -> None:
    """Raise UserError for a name that is no stage."""
    unknown = [stage for stage in stages if stage not in allowed]
    if unknown or not stages:
        more = "" if "grpo" in allowed else "; with --grpo also grpo, grpo-evaluation"
        raise UserError(f"--stages {','.join(unknown)}: allowed: {', '.join(allowed)}{more}")


def plan(pipeline: Pipeline, stages: Sequence[str]) -> list[tuple[str, str]]:
    """What `run_recipe` would do, in words: (stage or thing, what about it). Writes nothing."""
    check_stages(stages, pipeline.stages)
    located(pipeline.model, small=True)
    splits = load_splits(pipeline.data, pipeline.recipe.task.load)
    steps = num_steps(pipeline.sft, max(1, round(len(splits.train) * (1 - HELD_OUT_SHARE))))
    problems = len(splits.train_problems) + len(splits.test_problems)
    rows = [
        ("recipe", f"{pipeline.recipe.title} ({pipeline.recipe.name})"),
        ("model", pipeline.model),
        ("data", f"{len(splits.train)} clips to train on, {len(splits.test)} to test on"),
        ("", splits.how),
        *([("", f"{problems} label rows cannot be used")] if problems else []),
        ("training", f"{steps} or so optimiser steps, {pipeline.sft.batch_size} clips each"),
    ]
    advice = warmup_advice(pipeline.sft, steps)
    rows += [("advice", advice)] if advice else []
    for stage in pipeline.stages:
        done = (pipeline.out / MADE_BY[stage]).exists()
        state = "there already" if done else "to do"
        if stage in stages:
            rows.append((stage, f"{state}: {pipeline.out / MADE_BY[stage]}"))
    return rows


def run_recipe(pipeline: Pipeline, stages: Sequence[str]) -> Path:
    """Run stages in order; returns the path of the HTML document (or of the run without one)."""
    check_stages(stages, pipeline.stages)
    splits = load_splits(pipeline.data, pipeline.recipe.task.load)
    steps: dict[str, Callable[[Run], None]] = {
        "benchmark": lambda run: run.write_json("benchmark.json", describe(splits)),
        "zero-shot": lambda _: _evaluate(pipeline, splits, "zero_shot"),
        "analysis": lambda _: _analyse(pipeline),
        "curation": lambda run: _curate(pipeline, splits, run),
        "sft": lambda run: _train(pipeline, splits, run),
        "re-evaluation": lambda _: _evaluate(pipeline, splits, "re_evaluation"),
        "grpo": lambda run: _reinforce(pipeline, splits, run),
        "grpo-evaluation": lambda _: _evaluate(pipeline, splits, "after_grpo"),
    }
    with Run.open(pipeline.out, kind="recipe", config=pipeline.config()) as run:
        for stage in pipeline.stages:
            if stage in stages and stage in steps:
                steps[stage](run)
    if "report" not in stages:
        return pipeline.out
    return write_recipe_document(pipeline.out)


def _evaluate(pipeline: Pipeline, splits: Splits, name: str) -> None:
    """Before training with the given model, after it with the trained one."""
    best, made_in, title = JUDGED[name]
    spec = called = pipeline.model
    if best:
        spec, called = _checkpoint(pipeline, best, made_in), best

    def progress(what: str, done: int, total: int) -> None:
        pipeline.on_progress(f"{title}: {what}", done, total)

    evaluate_stage(
        pipeline.recipe,
        load_engine(
            spec,
            device=pipeline.device,
            name=called,
            store=pipeline.store,
            task=pipeline.recipe.name,
            on_progress=progress,
        ),
        splits.test,
        out=pipeline.out / name,
        config=pipeline.evaluation,
        frames=pipeline.frames,
        on_progress=progress,
        problems=splits.test_problems,
        prompt=pipeline.prompt,
    )
    write_doubts(pipeline.recipe.task, pipeline.out / name, pipeline.out / name)


def _analyse(pipeline: Pipeline) -> None:
    if not (pipeline.out / MADE_BY["zero-shot"]).exists():
        raise UserError(f"{pipeline.out}: nothing to analyse yet; run the stage zero-shot first")
    zero_shot = Run.read(pipeline.out / "zero_shot")
    write_analysis(zero_shot, pipeline.out / "analysis.json", pipeline.recipe.targets)


def _curate(pipeline: Pipeline, splits: Splits, run: Run) -> None:
    curation = curate_stage(
        splits.train,
        splits.train_problems,
        holdout=HELD_OUT_SHARE,
        seed=pipeline.sft.seed,
        on_progress=pipeline.on_progress,
        known=run.read_json("curation.json"),
    )
    labels = counts_by_slot(pipeline.recipe.task, curation.kept)
    run.write_json("curation.json", curation.manifest() | {"labels": labels})


def _checkpoint(pipeline: Pipeline, best: str, stage: str) -> str:
    """Where a trained checkpoint is. Raises UserError where its stage was not run."""
    folder = str(pipeline.out / best)
    if not (pipeline.out / MADE_BY[stage]).exists():
        raise UserError(
            f"{folder}: there is no trained checkpoint yet; run the stage {stage} first"
        )
    return folder


def _train(pipeline: Pipeline, splits: Splits, run: Run) -> None:
    _train_on(pipeline, splits, run, "sft", pipeline.model, pipeline.sft)


def _reinforce(pipeline: Pipeline, splits: Splits, run: Run) -> None:
    assert pipeline.grpo is not None
    start = _checkpoint(pipeline, BEST, "sft")
    _train_on(pipeline, splits, run, "grpo", start, pipeline.grpo)


def _train_on(
    pipeline: Pipeline,
    splits: Splits,
    run: Run,
    name: str,
    model: str,
    config: SFTConfig | GRPOConfig,
) -> None:
    """Train `model` on the clips that curation kept, in the folder `name`."""
    manifest: Mapping[str, Any] | None = run.read_json("curation.json")
    if manifest is None:
        raise UserError(f"{pipeline.out}: nothing is curated yet; run the stage curation first")
    kept = {row["id"]: row for row in manifest["clips"]}
    usable = [
        (kept[sample.id]["split"], replace(sample, duration_s=kept[sample.id]["duration_s"]))
        for sample in sorted(splits.train, key=lambda sample: sample.id)
        if sample.id in kept
    ]
    train_stage(
        pipeline.recipe,
        model=model,
        train=[sample for split, sample in usable if split == "train"],
        held_out=[sample for split, sample in usable if split == "held_out"],
        checksums={row["id"]: row["sha256"] for row in manifest["clips"]},
        out=pipeline.out / name,
        config=config,
        frames=pipeline.frames,
        device=pipeline.device,
        on_progress=pipeline.on_progress,
        prompt=pipeline.prompt,
        on_advice=pipeline.on_advice,
    )
