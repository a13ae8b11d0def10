"""The share of one process in an annotation that several processes make, on one machine or on many."""

from collections.abc import Sequence
from pathlib import Path

from kairoscope.annotate import Tally
from kairoscope.annotate.shards import KIND, Shard, check_shards, claim, shard_config
from kairoscope.annotate.videos import annotate_share
from kairoscope.config import Recipe
from kairoscope.core import Decoding
from kairoscope.data.taskfiles import TaskFile
from kairoscope.models.engines import Engine
from kairoscope.recipes.spending import usage_kept
from kairoscope.recipes.stages import Frames, Progress, annotate_stage, annotation_question
from kairoscope.runs import Run
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
    claim(out, question.config)
    check_shards(out, question.config)
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
