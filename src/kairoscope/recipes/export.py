"""Dataset, configuration and entry script for those who train with cosmos-rl."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.config import Recipe, SFTConfig
from kairoscope.core import FramePolicy, Sample, UserError
from kairoscope.cosmos_rl.keys import HEAD, Version
from kairoscope.cosmos_rl.writing import Job, config_text
from kairoscope.data.conversations import write_conversations
from kairoscope.data.rows import Problem
from kairoscope.recipes import cosmos_rl_entry
from kairoscope.recipes.stages import Progress
from kairoscope.recipes.training import curate_stage
from kairoscope.storage import whole_folder

DATASET, CONFIG, SCRIPT = "dataset", "sft.toml", "custom_sft.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    folder: Path
    num_train: int
    num_held_out: int
    left_out: tuple[str, ...]
    """Samples that cannot be trained on, with reasons."""
    needs_stamps: bool
    """Whether the frame policy draws stamps, which cosmos-rl does not: the clips must have them."""


def export_cosmos_rl(
    recipe: Recipe,
    samples: Sequence[Sample[Any, Any]],
    problems: Sequence[Problem],
    out: Path,
    *,
    config: SFTConfig,
    frames: FramePolicy,
    model: str,
    holdout: float,
    gpus: int,
    on_progress: Progress,
    version: Version = HEAD,
) -> Exported:
    """Write `dataset/`, `sft.toml` and `custom_sft.py` to a new folder.

    Clips and labels are checked as for a training here. cosmos-rl holds out the first rows of a dataset:
    these are the clips of whole held-out groups.

    Raises:
        UserError: the folder is there, no sample is left, or settings that cosmos-rl cannot take.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: already there; choose a new folder")
    curation = curate_stage(
        samples, problems, holdout=holdout, seed=config.seed, on_progress=on_progress
    )
    if not curation.train:
        raise UserError("no sample is left to train on; see what was left out, and why")
    job = Job(
        dataset=str((out / DATASET).absolute()),
        num_held_out=len(curation.held_out),
        model=model,
        out=str((out / "outputs").absolute()),
        gpus=gpus,
        version=version,
    )
    text = config_text(job, config, frames)
    with whole_folder(out) as part:
        rows = [*curation.held_out, *curation.train]
        write_conversations(rows, part / DATASET, recipe.task)
        (part / CONFIG).write_text(text, encoding="utf-8")
        (part / SCRIPT).write_text(script_text(), encoding="utf-8")
    return Exported(
        folder=out,
        num_train=len(curation.train),
        num_held_out=len(curation.held_out),
        left_out=tuple(f"{d.sample_id}: {d.reason}: {d.detail}" for d in curation.drops),
        needs_stamps=frames.stamp != "none",
    )


def script_text() -> str:
    """The entry script, which needs nothing of this package."""
    text = Path(cosmos_rl_entry.__file__).read_text(encoding="utf-8")
    return text.replace("  # type: ignore[import-not-found]", "")
