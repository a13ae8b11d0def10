"""The stages of a recipe that need a model, each runnable alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kairoscope.config import Recipe, SFTConfig
from kairoscope.core import FramePolicy, UserError
from kairoscope.models.checkpoint import Checkpoint, load_checkpoint
from kairoscope.runs import Run
from kairoscope.settings import changed
from kairoscope.storage import plain
from kairoscope.train.sft import SFTResult, sft

Progress = Callable[[str, int, int], None]


def policy_for(recipe: Recipe, checkpoint: Checkpoint, frames: Any, where: str) -> FramePolicy:
    """The checkpoint's own frame policy, else the recipe's, with the user's changes."""
    return changed(checkpoint.policy or recipe.frames, frames or {}, where)


def train_stage(
    recipe: Recipe,
    *,
    model: str,
    data: Path,
    held_out: Path | None,
    out: Path,
    config: SFTConfig,
    frames: dict[str, Any] | None,
    device: str | None,
    on_progress: Progress,
) -> SFTResult:
    """Fine-tune `model` on `data` in the run folder `out`; goes on where it stopped."""
    checkpoint = load_checkpoint(model, device=device, dtype="float32")
    policy = policy_for(recipe, checkpoint, frames, "[frames]")
    train = recipe.task.load(data)
    chosen = recipe.task.load(held_out) if held_out else ()
    shared = {sample.group for sample in train} & {sample.group for sample in chosen}
    if shared:
        raise UserError(f"{held_out}: shares groups with {data}, such as {min(shared)!r}")
    run_config = {
        "recipe": recipe.name,
        "model": model,
        "model_identity": checkpoint.identity,
        "data": str(data.resolve()),
        "held_out": None if held_out is None else str(held_out.resolve()),
        "frames": plain(policy),
        "sft": plain(config),
    }
    with Run.open(out, kind="sft", config=run_config) as run:

        def log(row: dict[str, Any]) -> None:
            run.append("train", row)
            if row["kind"] == "step":
                on_progress(f"training, loss {row['loss']:.3f}", row["step"], row["of"])

        return sft(
            checkpoint,
            recipe.task,
            train,
            chosen,
            policy=policy,
            config=config,
            out=out,
            log=log,
            on_check=lambda done, total: on_progress("checking clips", done, total),
        )
