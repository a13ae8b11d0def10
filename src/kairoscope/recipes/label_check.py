"""Are these clips and labels fit to train on? What a training would leave out, how even the labels
are, and, with a model that has not learned them, which labels it contradicts.

    curation.json        every clip, kept or left out and why; how often each label comes
    answers/             an evaluation run on the clips that are kept, where a model is asked
    label_doubts.json    labels by the probability that the model gives them
    curation.html, .md   the same for people
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kairoscope.config import EvalConfig, Recipe
from kairoscope.core import Task, UserError
from kairoscope.data.rows import Problem
from kairoscope.evaluate import samples_digest
from kairoscope.models.engines import Engine
from kairoscope.recipes.curating import curate_stage
from kairoscope.recipes.stages import AnySample, Frames, Progress, evaluate_stage
from kairoscope.report.labels.counts import counts_by_slot
from kairoscope.report.labels.doubts import doubts_to_json, worst_clips
from kairoscope.report.labels.page import ANSWERS, DOUBTS, write_curation_page
from kairoscope.report.labels.support import label_doubts
from kairoscope.runs import Run, read_records, records_of
from kairoscope.storage import write_json_atomic

KIND = "curation"


def check_labels_stage(
    recipe: Recipe,
    samples: Sequence[AnySample],
    problems: Sequence[Problem],
    *,
    out: Path,
    model: Engine | None,
    config: EvalConfig,
    frames: Frames,
    on_progress: Progress,
    prompt: Path | None = None,
) -> dict[str, Any]:
    """Curate samples in the run folder `out` and, with a model, doubt their labels; writes the page.

    Returns the manifest, with `doubts` where a model was asked.

    Raises:
        UserError: not one sample can be used, or the folder belongs to something else.
    """
    task = recipe.task
    settings = {
        "task": task.name,
        "task_version": task.version,
        "samples": samples_digest(task, samples),
    }
    with Run.open(out, kind=KIND, config=settings) as run:
        curation = curate_stage(
            samples,
            problems,
            holdout=0.0,
            seed=0,
            on_progress=on_progress,
            known=run.read_json("curation.json"),
        )
        if not curation.kept:
            first = curation.drops[0]
            raise UserError(f"not one sample can be used; {first.sample_id}: {first.detail}")
        found = curation.manifest() | {"labels": counts_by_slot(task, curation.kept)}
        run.write_json("curation.json", found)
        if model is not None:
            evaluate_stage(
                recipe,
                model,
                curation.kept,
                out=out / ANSWERS,
                config=config,
                frames=frames,
                on_progress=on_progress,
                prompt=prompt,
            )
            found["doubts"] = write_doubts(task, out / ANSWERS, out)
    write_curation_page(out)
    return found


def write_doubts(task: Task[Any, Any], answers: Path, out: Path) -> dict[str, Any]:
    """`label_doubts.json` in the folder `out`, from the evaluation run `answers`."""
    run = Run.read(answers)
    doubts, slots = label_doubts(task, records_of(run))
    found = doubts_to_json(task, doubts, slots, worst_clips(task, read_records(run)))
    write_json_atomic(out / DOUBTS, found)
    return found
