"""A whole recipe in one run folder: evaluate, analyse, curate, train, evaluate again, report.

    config.json                 what was asked: recipe, data, model, settings
    benchmark.json              what the test clips are
    zero_shot/ re_evaluation/   evaluation runs on the same test clips, and the labels that are doubted
    analysis.json               gaps found in the zero-shot answers
    curation.json               every training clip, kept or left out and why
    sft/                        the training run and its best checkpoint
    recipe.md recipe.html       the document, from the files above and nothing else

Every stage can be run alone and again; a finished one is not repeated.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kairoscope.config import EvalConfig, Recipe, SFTConfig
from kairoscope.core import Load, Sample, UserError
from kairoscope.curate import check_apart, clip_hashes
from kairoscope.data.rows import Problem
from kairoscope.data.sources import load_samples
from kairoscope.data.split import split_by_group
from kairoscope.evaluate import evaluation_settings
from kairoscope.models.names import located
from kairoscope.recipes.curating import curate_stage
from kairoscope.recipes.label_check import write_doubts
from kairoscope.recipes.stages import Frames, Progress, evaluate_stage, load_data, load_engine
from kairoscope.recipes.training import train_stage
from kairoscope.report.analysis import write_analysis
from kairoscope.report.label_counts import counts_by_slot
from kairoscope.report.recipe_document import write_recipe_document
from kairoscope.runs import Run
from kairoscope.storage import plain
from kairoscope.store import AnswerStore
from kairoscope.train.mixing import label_counts
from kairoscope.train.schedule import num_steps, warmup_advice

AnySample = Sample[Any, Any]
STAGES = ("benchmark", "zero-shot", "analysis", "curation", "sft", "re-evaluation", "report")
MADE_BY = {
    "benchmark": "benchmark.json",
    "zero-shot": "zero_shot/metrics.json",
    "analysis": "analysis.json",
    "curation": "curation.json",
    "sft": "sft/result.json",
    "re-evaluation": "re_evaluation/metrics.json",
    "report": "recipe.html",
}
"""Stage -> the file that is there once it is done."""
HELD_OUT_SHARE = 0.15
TEST_SHARE = 0.3
BEST = "sft/best"
"""The trained checkpoint, below the run folder; also what the second evaluation calls its model."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Everything that the stages share."""

    recipe: Recipe
    model: str
    data: Path
    out: Path
    evaluation: EvalConfig
    sft: SFTConfig
    frames: Frames
    device: str | None
    on_progress: Progress
    prompt: Path | None = None
    on_advice: Callable[[str], None] | None = None
    """Told what is allowed and yet hardly meant."""
    store: AnswerStore | None = None
    """Looked into before a model is asked."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Training and test samples, and what is wrong with the rest."""

    train: Sequence[AnySample]
    test: Sequence[AnySample]
    train_problems: Sequence[Problem]
    test_problems: Sequence[Problem]
    how: str
    """Where the split comes from, in words."""


def load_splits(data: Path, load: Load = load_samples) -> Splits:
    """`train` and `test` in a data folder; without them, a split by group (30 % test).

    Raises:
        UserError: no data, a group or a clip that is in both, or too few groups to split.
    """
    if (data / "train").exists() and (data / "test").exists():
        train, train_problems = load_data(data / "train", load)
        test, test_problems = load_data(data / "test", load)
        check_apart(train, test, f"{data}: train and test")
        how = "train and test are folders of their own"
    else:
        samples, problems = load_data(data, load)
        same = clip_hashes(samples)
        train, test = split_by_group(samples, holdout=TEST_SHARE, seed=0, same=same)
        train_problems, test_problems = problems, []
        how = f"{TEST_SHARE:.0%} of the groups were set aside for the test (seed 0)"
        if not test:
            raise UserError(
                f"{data}: cannot be split into training and test data (clips: {len(samples)}, groups: "
                f"{len({s.group for s in samples})}); at least 2 groups without a clip in common are "
                "needed"
            )
    return Splits(
        train=train,
        test=test,
        train_problems=train_problems,
        test_problems=test_problems,
        how=how,
    )


def check_stages(stages: Sequence[str]) -> None:
    """Raise UserError for a name that is no stage."""
    unknown = [stage for stage in stages if stage not in STAGES]
    if unknown or not stages:
        raise UserError(f"--stages {','.join(unknown)}: allowed: {', '.join(STAGES)}")


def plan(pipeline: Pipeline, stages: Sequence[str]) -> list[tuple[str, str]]:
    """What `run_recipe` would do, in words: (stage or thing, what about it). Writes nothing."""
    check_stages(stages)
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
    for stage in STAGES:
        done = (pipeline.out / MADE_BY[stage]).exists()
        state = "there already" if done else "to do"
        if stage in stages:
            rows.append((stage, f"{state}: {pipeline.out / MADE_BY[stage]}"))
    return rows


def run_recipe(pipeline: Pipeline, stages: Sequence[str] = STAGES) -> Path:
    """Run stages in order; returns the path of the HTML document (or of the run without one)."""
    check_stages(stages)
    splits = load_splits(pipeline.data, pipeline.recipe.task.load)
    steps: dict[str, Callable[[Run], None]] = {
        "benchmark": lambda run: run.write_json("benchmark.json", describe(splits)),
        "zero-shot": lambda _: _evaluate(pipeline, splits, "zero_shot"),
        "analysis": lambda _: _analyse(pipeline),
        "curation": lambda run: _curate(pipeline, splits, run),
        "sft": lambda run: _train(pipeline, splits, run),
        "re-evaluation": lambda _: _evaluate(pipeline, splits, "re_evaluation"),
    }
    with Run.open(pipeline.out, kind="recipe", config=pipeline.config()) as run:
        for stage in STAGES:
            if stage in stages and stage in steps:
                steps[stage](run)
    if "report" not in stages:
        return pipeline.out
    return write_recipe_document(pipeline.out)


def describe(splits: Splits) -> dict[str, Any]:
    """What the benchmark is: clips, events and durations for each scenario of the test set.

    Where answers are scores, how often each comes (`labels`), too.
    """
    scenarios = sorted({sample.scenario for sample in splits.test})
    rows = []
    for scenario in scenarios:
        samples = [sample for sample in splits.test if sample.scenario == scenario]
        queries = Counter(sample.query for sample in samples)
        durations = [s.duration_s for s in samples if s.duration_s is not None]
        rows.append(
            {
                "scenario": scenario,
                "n_clips": len(samples),
                "n_groups": len({sample.group for sample in samples}),
                "example_events": list(queries.most_common(1)[0][0]),
                "shortest_s": min(durations, default=None),
                "longest_s": max(durations, default=None),
            }
        )
    found: dict[str, Any] = {
        "n_train": len(splits.train),
        "n_test": len(splits.test),
        "split": splits.how,
        "scenarios": rows,
    }
    if splits.test and all(isinstance(sample.gold, int) for sample in splits.test):
        sides = {"train": splits.train, "test": splits.test}
        found["labels"] = {name: label_counts(side) for name, side in sides.items()}
    return found


def _evaluate(pipeline: Pipeline, splits: Splits, name: str) -> None:
    """Before training with the given model, after it with the trained one."""
    spec, called, title = pipeline.model, pipeline.model, "zero-shot"
    if name == "re_evaluation":
        spec, called, title = str(pipeline.out / BEST), BEST, "after training"
        if not (pipeline.out / MADE_BY["sft"]).exists():
            raise UserError(f"{spec}: there is no trained checkpoint yet; run the stage sft first")

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


def _train(pipeline: Pipeline, splits: Splits, run: Run) -> None:
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
        model=pipeline.model,
        train=[sample for split, sample in usable if split == "train"],
        held_out=[sample for split, sample in usable if split == "held_out"],
        checksums={row["id"]: row["sha256"] for row in manifest["clips"]},
        out=pipeline.out / "sft",
        config=pipeline.sft,
        frames=pipeline.frames,
        device=pipeline.device,
        on_progress=pipeline.on_progress,
        prompt=pipeline.prompt,
        on_advice=pipeline.on_advice,
    )
