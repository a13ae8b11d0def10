"""`annotate` for robot datasets: the stage that joins recorded signals, a model and examples."""

from collections.abc import Mapping
from functools import partial
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kairoscope.annotate.dataset import (
    Asking,
    DatasetTally,
    OnProgress,
    Saving,
    annotate_dataset,
    answer_share,
)
from kairoscope.annotate.shards import KIND
from kairoscope.annotate.showing import make_clips
from kairoscope.config import Recipe
from kairoscope.core import Decoding, UserError
from kairoscope.data.corrections import adopt_corrections
from kairoscope.data.learned_clips import learned_by
from kairoscope.data.taskfiles import TaskFile
from kairoscope.recipes.keeping import keep_count
from kairoscope.recipes.pages import write_page
from kairoscope.recipes.spending import usage_kept
from kairoscope.robot.episode import Dataset
from kairoscope.robot.naming import SignalPlan, signal_plan
from kairoscope.runs import Run
from kairoscope.shards import Shard, check_shards, claim, shard_config
from kairoscope.storage import Locked, plain

if TYPE_CHECKING:
    from kairoscope.models.engines import Engine

SIGNALS_ONLY = "signals only"
"""In the place of a model's name."""


def annotate_dataset_stage(
    recipe: Recipe,
    model: "Engine | None",
    dataset: Dataset,
    task: TaskFile,
    *,
    out: Path,
    saving: Saving,
    decoding: Decoding,
    frames: Mapping[str, Any],
    on_progress: OnProgress,
    camera: str | None = None,
    prompt: Path | None = None,
    num_examples: int = 0,
    labels: Path | None = None,
    shard: Shard | None = None,
) -> DatasetTally | None:
    """Find the events of a task file in a dataset's episodes; writes the run folder `out`.

    Without a model, signals and labelled examples alone. The rows of `labels`, a label file, count as
    set by hand in this run, and are kept in it. Of a `shard`, the model is asked about that share alone;
    whoever answers the last one goes on with all. None: shares are missing, or another process goes on.

    Raises UserError for a task that is not the dataset's, and what `annotate_dataset` raises.
    """
    plan = signal_plan(
        dataset, task.events, signals=task.signals, offsets=task.offsets, arms=task.arms
    )
    if out.resolve() == dataset.path.resolve():
        raise UserError(f"{out}: is the dataset itself; choose another --out")
    asking, words = _asking(recipe, model, decoding, frames, camera, prompt)
    run_config = _run_config(dataset, task, model, asking, out, camera) | words
    check_shards(out, run_config, kind=KIND)
    if shard is not None and not _answer_share(
        dataset,
        task,
        plan,
        asking,
        run_config,
        shard=shard,
        out=out,
        labels=labels,
        ignores_labels=saving.overwrite,
        on_progress=on_progress,
    ):
        return None
    try:
        opened = Run.open(out, kind="annotation", config=run_config)
    except Locked:
        if shard is None:
            raise
        return None  # another one saw that all is there, too
    with opened as run, usage_kept(run, model):
        tally = annotate_dataset(
            dataset,
            task.events,
            _with_labels(run, labels),
            plan=plan,
            arms=task.arms,
            asking=asking,
            saving=saving,
            num_examples=num_examples,
            learned=learned_by(model.name) if model else frozenset(),
            on_progress=on_progress,
        )
        keep_count(run, "answers")
        make_clips(dataset, run, camera, partial(on_progress, "making clips to look at"))
    _write_page(out, on_progress)
    return tally


def _with_labels(run: Run, labels: Path | None) -> Run:
    """The run, with the rows of a label file taken over as set by hand."""
    if labels is not None:
        adopt_corrections(labels, run.path)
    return run


def _write_page(out: Path, on_progress: OnProgress) -> None:
    on_progress("writing the page", 0, 1)
    write_page(out)
    on_progress("writing the page", 1, 1)


def _asking(
    recipe: Recipe,
    model: "Engine | None",
    decoding: Decoding,
    frames: Mapping[str, Any],
    camera: str | None,
    prompt: Path | None,
) -> tuple[Asking | None, dict[str, Any]]:
    """How the model is asked, and what runs keep of the words; without one, nothing is."""
    if model is None:
        return None, {}
    from kairoscope.recipes.stages import asked_with, policy_for

    policy = policy_for(recipe, model.policy, frames)
    asked, words = asked_with(recipe, prompt)
    return Asking(model=model, task=asked, policy=policy, decoding=decoding, camera=camera), words


def _run_config(
    dataset: Dataset,
    task: TaskFile,
    model: "Engine | None",
    asking: Asking | None,
    out: Path,
    camera: str | None,
) -> dict[str, Any]:
    """What makes it the same run."""
    return {
        "model": model.name if model else SIGNALS_ONLY,
        "model_identity": model.identity if model else None,
        "task": plain(task),
        "source": relpath(dataset.path.resolve(), out.resolve()),
        "fps": dataset.fps,
        "camera": camera,
        "frames": plain(asking.policy) if asking else None,
        "decoding": asking.decoding if asking else None,
    }


def _answer_share(
    dataset: Dataset,
    task: TaskFile,
    plan: SignalPlan | None,
    asking: Asking | None,
    run_config: dict[str, Any],
    *,
    shard: Shard,
    out: Path,
    labels: Path | None,
    ignores_labels: bool,
    on_progress: OnProgress,
) -> bool:
    """Ask about one share in a run of its own; returns whether all shares are answered now."""
    if asking is None:
        raise UserError(
            f"--shard {shard}: shares out what a model is asked, and none is asked here"
        )
    claim(out, run_config, kind="annotation")
    config = shard_config(run_config, shard)
    opened = Run.open(out / shard.folder, kind=KIND, config=config)
    with opened as run, usage_kept(run, asking.model):
        return answer_share(
            dataset,
            task.events,
            _with_labels(run, labels),
            shard=shard,
            out=out,
            asking=asking,
            plan=plan,
            arms=task.arms,
            ignores_labels=ignores_labels,
            on_progress=on_progress,
        )
