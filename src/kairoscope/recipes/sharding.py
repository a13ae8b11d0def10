"""The share of one process in what several processes annotate or evaluate, on one machine or on many."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kairoscope.annotate import Tally
from kairoscope.annotate.shards import KIND
from kairoscope.annotate.videos import annotate_share
from kairoscope.config import EvalConfig, Recipe
from kairoscope.core import Decoding
from kairoscope.data.rows import Problem
from kairoscope.data.taskfiles import TaskFile
from kairoscope.evaluate import evaluate_share
from kairoscope.models.engines import Engine
from kairoscope.recipes.spending import usage_kept
from kairoscope.recipes.stages import (
    ASKING,
    EVALUATION_SHARD,
    AnySample,
    Frames,
    Progress,
    annotate_stage,
    annotation_question,
    evaluate_stage,
    evaluation_question,
)
from kairoscope.runs import Run
from kairoscope.shards import Shard, check_shards, claim, shard_config
from kairoscope.storage import Locked


def annotate_shard_stage(
    recipe: Recipe,
    model: Engine,
    clips: Sequence[tuple[str, Path]],
    task: TaskFile,
    *,
    shard: Shard,
    source: Path,
    out: Path,
    decoding: Decoding,
    frames: Frames,
    on_progress: Progress,
    prompt: Path | None = None,
) -> Tally | None:
    """Answer one share of the clips; whoever answers the last one puts all together in `out`.

    Args:
        shard: which share.
        recipe: as for `annotate_stage`, as is everything else.

    Returns what became of all clips, or None where shares are missing, or another process is putting
    them together. Raises UserError where the folder belongs to another question, or another process has
    this share.
    """
    question = annotation_question(
        recipe, model, task, source=source, out=out, decoding=decoding, frames=frames, prompt=prompt
    )
    claim(out, question.config, kind="annotation")
    check_shards(out, question.config, kind=KIND)
    config = shard_config(question.config, shard)
    with Run.open(out / shard.folder, kind=KIND, config=config) as run, usage_kept(run, model):
        is_last = annotate_share(
            model,
            question.task,
            clips,
            task.events,
            shard=shard,
            policy=question.policy,
            decoding=decoding,
            run=run,
            out=out,
            on_progress=lambda done, total: on_progress(f"annotating {shard}", done, total),
        )
    if not is_last:
        return None
    try:
        return annotate_stage(
            recipe,
            model,
            clips,
            task,
            source=source,
            out=out,
            decoding=decoding,
            frames=frames,
            on_progress=on_progress,
            prompt=prompt,
        )
    except Locked:  # another one saw that all is there, too
        return None


def evaluate_shard_stage(
    recipe: Recipe,
    model: Engine,
    samples: Sequence[AnySample],
    *,
    shard: Shard,
    out: Path,
    config: EvalConfig,
    frames: Frames,
    on_progress: Progress,
    problems: Sequence[Problem] = (),
    prompt: Path | None = None,
) -> dict[str, Any] | None:
    """Ask about one share of the samples; whoever answers the last one evaluates all in `out`.

    Args:
        shard: which share.
        recipe: as for `evaluate_stage`, as is everything else.

    Returns the metrics, or None where shares are missing, or another process is putting them together.
    Raises UserError as `annotate_shard_stage` does.
    """
    question = evaluation_question(
        recipe, model, samples, config=config, frames=frames, prompt=prompt
    )
    claim(out, question.config, kind="evaluation")
    check_shards(out, question.config, kind=EVALUATION_SHARD)
    own = shard_config(question.config, shard)
    with (
        Run.open(out / shard.folder, kind=EVALUATION_SHARD, config=own) as run,
        usage_kept(run, model),
    ):
        is_last = evaluate_share(
            model,
            question.task,
            samples,
            shard=shard,
            policy=question.policy,
            config=config,
            run=run,
            out=out,
            on_progress=lambda what, done, total: on_progress(
                f"{ASKING[what]} of {shard}", done, total
            ),
        )
    if not is_last:
        return None
    try:
        return evaluate_stage(
            recipe,
            model,
            samples,
            out=out,
            config=config,
            frames=frames,
            on_progress=on_progress,
            problems=problems,
            prompt=prompt,
        )
    except Locked:  # another one saw that all is there, too
        return None
