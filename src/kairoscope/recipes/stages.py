"""The stages of a recipe that ask a model, each runnable alone and each resumable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import relpath
from pathlib import Path
from typing import Any

from kairoscope.annotate import Tally, annotate
from kairoscope.annotate.shards import KIND
from kairoscope.config import EvalConfig, Recipe
from kairoscope.core import Decoding, FramePolicy, Load, Sample, Task, UserError
from kairoscope.data.rows import Problem
from kairoscope.data.sources import load_samples
from kairoscope.data.taskfiles import TaskFile
from kairoscope.evaluate import evaluate, evaluation_config
from kairoscope.models.engines import Engine, EngineOptions, open_engine
from kairoscope.models.over_ray import RayOptions, on_cluster
from kairoscope.models.server.options import ServerOptions
from kairoscope.recipes.keeping import keep_count, with_store
from kairoscope.recipes.pages import write_page
from kairoscope.recipes.prompt_files import prompt_from_yaml
from kairoscope.recipes.spending import usage_kept
from kairoscope.runs import Run
from kairoscope.settings import changed
from kairoscope.shards import check_shards
from kairoscope.storage import plain
from kairoscope.store import AnswerStore

Progress = Callable[[str, int, int], None]
"""(what, done, of how many); of 0: it is not known how many."""
AnySample = Sample[Any, Any]
Frames = Mapping[str, Any]
"""Changes to a frame policy: field -> value."""
EVALUATION_SHARD = "evaluation shard"
ASKING = {
    "records": "asking about every clip",
    "control": "asking about wrong clips",
    "blind": "asking without a clip",
}
"""File of an evaluation -> what is being done for it."""


def policy_for(recipe: Recipe, own: FramePolicy | None, frames: Frames) -> FramePolicy:
    """The checkpoint's own frame policy, else the recipe's, with the user's changes."""
    return changed(own or recipe.frames, frames, "frames")


def asked_with(recipe: Recipe, prompt: Path | None) -> tuple[Task[Any, Any], dict[str, Any]]:
    """The recipe's task, with the prompt of a file where one is given, and what runs keep of it."""
    if prompt is None:
        return recipe.task, {}
    ask = prompt_from_yaml(prompt)
    return replace(recipe.task, prompt=ask), {"prompt": prompt.read_text(encoding="utf-8")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked about every clip of an evaluation or annotation, and what a run keeps of it."""

    task: Task[Any, Any]
    policy: FramePolicy
    config: dict[str, Any]


def evaluation_question(
    recipe: Recipe,
    model: Engine,
    samples: Sequence[AnySample],
    *,
    config: EvalConfig,
    frames: Frames,
    prompt: Path | None,
) -> Asked:
    """See `evaluate_stage`, which has the same arguments."""
    policy = policy_for(recipe, model.policy, frames)
    task, words = asked_with(recipe, prompt)
    settings = evaluation_config(model, task, samples, policy=policy, config=config)
    return Asked(task=task, policy=policy, config=settings | words)


def evaluate_stage(
    recipe: Recipe,
    model: Engine,
    samples: Sequence[AnySample],
    *,
    out: Path,
    config: EvalConfig,
    frames: Frames,
    on_progress: Progress,
    problems: Sequence[Problem] = (),
    prompt: Path | None = None,
) -> dict[str, Any]:
    """Evaluate a model in the run folder `out`; returns its metrics and writes its page."""
    question = evaluation_question(
        recipe, model, samples, config=config, frames=frames, prompt=prompt
    )
    check_shards(out, question.config, kind=EVALUATION_SHARD)
    with Run.open(out, kind="evaluation", config=question.config) as run, usage_kept(run, model):
        metrics = evaluate(
            model,
            question.task,
            samples,
            policy=question.policy,
            config=config,
            run=run,
            on_progress=lambda what, done, total: on_progress(ASKING[what], done, total),
            data_problems=problems,
        )
        keep_count(run, "records", "control", "unscored", "blind")
        _check_readable(run, metrics["n_clips"])
    write_page(out)
    return metrics


def _check_readable(run: Run, num_clips: int) -> None:
    """Figures of clips that nobody could see are worth no table."""
    listed = run.read_json("problems.json")
    unread = [problem["reason"] for problem in listed if problem["kind"] == "unreadable clip"]
    if len(unread) == num_clips:
        raise UserError(f"{run.path}: not one of the clips ({num_clips}) can be read; {unread[0]}")


def annotation_question(
    recipe: Recipe,
    model: Engine,
    task: TaskFile,
    *,
    source: Path,
    out: Path,
    decoding: Decoding,
    frames: Frames,
    prompt: Path | None,
) -> Asked:
    """See `annotate_stage`, which has the same arguments."""
    policy = policy_for(recipe, model.policy, frames)
    asked, words = asked_with(recipe, prompt)
    config = {
        "model": model.name,
        "model_identity": model.identity,
        "task": plain(task),
        "source": relpath(source.resolve(), out.resolve()),
        "frames": plain(policy),
        "decoding": decoding,
    }
    return Asked(task=asked, policy=policy, config=config | words)


def annotate_stage(
    recipe: Recipe,
    model: Engine,
    clips: Sequence[tuple[str, Path]],
    task: TaskFile,
    *,
    source: Path,
    out: Path,
    decoding: Decoding,
    frames: Frames,
    on_progress: Progress,
    prompt: Path | None = None,
) -> Tally:
    """Find the events of a task file in clips; writes boundaries and a page to `out`.

    `source` is where the clips come from, as seen from `out`: part of the run's identity, because
    clips are known in it by their names alone.
    """
    question = annotation_question(
        recipe, model, task, source=source, out=out, decoding=decoding, frames=frames, prompt=prompt
    )
    check_shards(out, question.config, kind=KIND)
    with Run.open(out, kind="annotation", config=question.config) as run, usage_kept(run, model):
        tally = annotate(
            model,
            question.task,
            clips,
            task.events,
            policy=question.policy,
            decoding=decoding,
            run=run,
            on_progress=lambda done, total: on_progress("annotating", done, total),
        )
        keep_count(run, "clips")
    write_page(out)
    return tally


def load_engine(
    spec: str,
    *,
    device: str | None,
    batch_size: int | None = None,
    name: str | None = None,
    server: ServerOptions = ServerOptions(),
    store: AnswerStore | None = None,
    task: str = "",
    ray: RayOptions | None = None,
    on_progress: Progress,
) -> Engine:
    """The model that answers; its weights are loaded when the first answer is due.

    With a store, that is looked into first; `task` is what its rows are listed under. With `ray`, workers
    of a cluster answer.
    """
    called = name or spec
    options = EngineOptions(
        device=device,
        batch_size=batch_size,
        name=name,
        on_loading=lambda done: on_progress(f"loading {called}", done, done),
        task=task,
        server=server,
    )
    if ray is None:
        return with_store(open_engine(spec, options), spec, options, store, task)
    on_progress("connecting to Ray", 0, 1)
    engine, options = on_cluster(spec, options, ray)
    on_progress("connecting to Ray", 1, 1)
    return with_store(engine, spec, options, store, task)


def load_data(path: Path, load: Load = load_samples) -> tuple[list[AnySample], list[Problem]]:
    """Samples of a folder, label file or dataset, and what is wrong with the rest of its rows.

    `load` is the task's own; by default, labels are times of events.
    """
    problems: list[Problem] = []
    return list(load(path, problems)), problems
