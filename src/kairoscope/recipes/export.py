"""Dataset, configuration and entry script for those who train with cosmos-rl."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kairoscope.config import Recipe, SFTConfig
from kairoscope.core import FramePolicy, Sample, UserError
from kairoscope.cosmos_rl.keys import HEAD, Version
from kairoscope.cosmos_rl.writing import Job, config_text
from kairoscope.data.conversations import write_conversations
from kairoscope.data.rows import Problem
from kairoscope.recipes import cosmos_rl_entry
from kairoscope.recipes.curating import curate_stage
from kairoscope.recipes.stages import Progress
from kairoscope.storage import whole_folder
from kairoscope.video.stampfile import stamp_file

DATASET, CONFIG, SCRIPT, VIDEOS = "dataset", "sft.toml", "custom_sft.py", "videos"
AnySample = Sample[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    folder: Path
    num_train: int
    num_held_out: int
    left_out: tuple[str, ...]
    """Samples that cannot be trained on, with reasons."""
    num_stamped: int
    """Clips that were written with the time burnt in, because cosmos-rl draws none; 0 where the frame
    policy has no stamps."""


def export_cosmos_rl(
    recipe: Recipe,
    samples: Sequence[AnySample],
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

    cosmos-rl draws no times into frames. Where the frame policy does, copies of the clips with the times
    burnt in go to `videos/`, and the dataset is about these. Clips and labels are checked as for a training here. cosmos-rl holds out the first rows of a dataset:
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
        stamped = 0
        if frames.stamp != "none":
            rows, stamped = _stamped(rows, part / VIDEOS, out / VIDEOS, frames, on_progress)
        write_conversations(rows, part / DATASET, recipe.task)
        (part / CONFIG).write_text(text, encoding="utf-8")
        (part / SCRIPT).write_text(script_text(), encoding="utf-8")
    return Exported(
        folder=out,
        num_train=len(curation.train),
        num_held_out=len(curation.held_out),
        left_out=tuple(f"{d.sample_id}: {d.reason}: {d.detail}" for d in curation.drops),
        num_stamped=stamped,
    )


def _stamped(
    samples: Sequence[AnySample],
    folder: Path,
    final: Path,
    frames: FramePolicy,
    on_progress: Progress,
) -> tuple[list[AnySample], int]:
    """Samples about copies of their clips with the time burnt in, and how many copies there are.

    Written to `folder`, which will be called `final`. A clip of several samples is copied once.
    """
    clips = list(dict.fromkeys(sample.video for sample in samples))
    names = {clip: f"{number:05d}_{clip.stem}.mp4" for number, clip in enumerate(clips)}
    for done, (clip, name) in enumerate(names.items()):
        on_progress("stamping", done, len(clips))
        stamp_file(clip, folder / name, frames)
    on_progress("stamping", len(clips), len(clips))
    moved = [replace(sample, video=final / names[sample.video]) for sample in samples]
    return moved, len(clips)


def script_text() -> str:
    """The entry script, which needs nothing of this package."""
    text = Path(cosmos_rl_entry.__file__).read_text(encoding="utf-8")
    return text.replace("  # type: ignore[import-not-found]", "")
