"""The stages of a recipe that need a model, each runnable alone and each resumable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kairoscope.annotate import Tally, annotate
from kairoscope.config import EvalConfig, Recipe, SFTConfig
from kairoscope.core import FramePolicy, Sample, UserError
from kairoscope.curate import Curation, curate
from kairoscope.data.rows import Problem
from kairoscope.data.sources import load_samples
from kairoscope.data.taskfiles import TaskFile
from kairoscope.evaluate import evaluate, evaluation_config
from kairoscope.models.checkpoint import Checkpoint, read_settings
from kairoscope.models.in_process import InProcessModel
from kairoscope.models.load import load_model, load_weights, resolve
from kairoscope.report.annotation_page import write_annotation_page
from kairoscope.report.evaluation_page import write_evaluation_page
from kairoscope.runs import Run
from kairoscope.settings import changed
from kairoscope.storage import plain
from kairoscope.train.sft import SFTResult, sft

Progress = Callable[[str, int, int], None]
AnySample = Sample[Any, Any]


def policy_for(
    recipe: Recipe, checkpoint: Checkpoint, frames: Mapping[str, Any] | None, where: str
) -> FramePolicy:
    """The checkpoint's own frame policy, else the recipe's, with the user's changes."""
    return changed(checkpoint.policy or recipe.frames, frames or {}, where)


def sft_config_for(recipe: Recipe, model: str, changes: Sequence[tuple[str, Any]]) -> SFTConfig:
    """The recipe's settings, changed by what the checkpoint recommends and then by the user.

    Args:
        recipe: gives the defaults.
        model: its `kairoscope.json` may hold an `sft` table.
        changes: (where it comes from, table) in the order in which they apply.
    """
    config = changed(
        recipe.sft, read_settings(Path(resolve(model)), "sft"), f"{model} kairoscope.json [sft]"
    )
    for where, table in changes:
        config = changed(config, table, where)
    return config


def evaluate_stage(
    recipe: Recipe,
    model: InProcessModel,
    samples: Sequence[AnySample],
    *,
    out: Path,
    config: EvalConfig,
    frames: Mapping[str, Any] | None,
    on_progress: Progress,
    problems: Sequence[Problem] = (),
) -> dict[str, Any]:
    """Evaluate a model in the run folder `out`; returns its metrics and writes its page."""
    policy = policy_for(recipe, model.checkpoint, frames, "--frames")
    settings = evaluation_config(model, recipe.task, samples, policy=policy, config=config)
    names = {"records": "asking about every clip", "control": "asking about wrong clips"}
    with Run.open(out, kind="evaluation", config=settings) as run:
        metrics = evaluate(
            model,
            recipe.task,
            samples,
            policy=policy,
            config=config,
            run=run,
            on_progress=lambda what, done, total: on_progress(names[what], done, total),
            data_problems=problems,
        )
    write_evaluation_page(out)
    return metrics


def curate_stage(
    samples: Sequence[AnySample],
    problems: Sequence[Problem],
    *,
    holdout: float,
    seed: int,
    on_progress: Progress,
) -> Curation[AnySample]:
    """Check every clip and label, and split training data by group."""
    done = 0

    def count(_: str) -> None:
        nonlocal done
        done += 1
        on_progress("checking clips and labels", done, len(samples))

    return curate(samples, problems=problems, holdout=holdout, seed=seed, on_clip=count)


def train_stage(
    recipe: Recipe,
    *,
    model: str,
    train: Sequence[AnySample],
    held_out: Sequence[AnySample],
    data: Mapping[str, Any],
    out: Path,
    config: SFTConfig,
    frames: Mapping[str, Any] | None,
    device: str | None,
    on_progress: Progress,
) -> SFTResult:
    """Fine-tune `model` in the run folder `out`; goes on where it stopped.

    Args:
        recipe: task and frames.
        model: where to start from.
        train: samples to learn from.
        held_out: samples of other groups, to choose the best checkpoint on.
        data: says where the samples come from; part of the run's identity.
        out: run folder.
        config: see `SFTConfig`.
        frames: changes to the frame policy.
        device: None takes the best there is.
        on_progress: bars.
    """
    shared = {sample.group for sample in train} & {sample.group for sample in held_out}
    if shared:
        raise UserError(f"held-out and training data share groups, such as {min(shared)!r}")
    checkpoint = load_weights(model, device=device, training=True)
    policy = policy_for(recipe, checkpoint, frames, "[frames]")
    run_config = {
        "recipe": recipe.name,
        "model": model,
        "model_identity": checkpoint.identity,
        "data": dict(data),
        "frames": plain(policy),
        "sft": plain(config),
    }
    with Run.open(out, kind="sft", config=run_config) as run:

        def log(row: dict[str, Any]) -> None:
            run.append("train", row)
            if row["kind"] == "step":
                on_progress(f"training, loss {row['loss']:.3f}", row["step"], row["of"])

        result = sft(
            checkpoint,
            recipe.task,
            train,
            held_out,
            policy=policy,
            config=config,
            out=out,
            log=log,
            on_check=lambda done, total: on_progress("decoding clips", done, total),
        )
        run.write_json("result.json", replace(result, checkpoint=Path("best")))
        return result


def annotate_stage(
    recipe: Recipe,
    model: InProcessModel,
    clips: Sequence[tuple[str, Path]],
    task: TaskFile,
    *,
    out: Path,
    frames: Mapping[str, Any] | None,
    on_progress: Progress,
) -> Tally:
    """Find the events of a task file in clips; writes boundaries and a page to `out`."""
    policy = policy_for(recipe, model.checkpoint, frames, "--frames")
    run_config = {
        "model": model.name,
        "model_identity": model.identity,
        "task": plain(task),
        "frames": plain(policy),
        "decoding": "posterior",
    }
    with Run.open(out, kind="annotation", config=run_config) as run:
        tally = annotate(
            model,
            recipe.task,
            clips,
            task.events,
            policy=policy,
            decoding="posterior",
            run=run,
            on_progress=lambda done, total: on_progress("annotating", done, total),
        )
    about = [("model", model.name), ("task", task.name)]
    write_annotation_page(out, title=task.name, about=about)
    return tally


def load_engine(spec: str, *, device: str | None, batch_size: int | None = None) -> InProcessModel:
    """The model that answers."""
    return load_model(spec, device=device, batch_size=batch_size)


def load_data(path: Path) -> tuple[list[AnySample], list[Problem]]:
    """Samples of a folder, label file or dataset, and what is wrong with the rest of its rows."""
    problems: list[Problem] = []
    return list(load_samples(path, problems)), problems
