"""The stage that lets a new vision tower learn to see before anything else is trained."""

from pathlib import Path
from statistics import fmean
from typing import Any

from kairoscope.config import Recipe, SFTConfig
from kairoscope.core import UserError
from kairoscope.data.tracks import hand_tracks_of
from kairoscope.models.checkpoint import save_checkpoint
from kairoscope.models.load import load_weights
from kairoscope.recipes.stages import Frames, Progress, load_data, policy_for
from kairoscope.storage import append_lines, plain
from kairoscope.train.vision_warmup import warm_up_vision


def warm_up_stage(
    recipe: Recipe,
    *,
    model: str,
    data: Path,
    out: Path,
    config: SFTConfig,
    frames: Frames,
    device: str | None,
    on_progress: Progress,
) -> float:
    """Let a vision tower learn to see the hand, from the tracks beside the labels of `data`.

    Writes a checkpoint to `out` with the log of the steps in it (`warm_up.jsonl`), whole or not at
    all. Returns the mean loss of the last tenth of the steps.
    """
    if out.exists():
        raise UserError(f"{out}: is there already; choose a new folder for the checkpoint")
    samples, _ = load_data(data)
    checkpoint = load_weights(model, device=device, training=True)
    policy = policy_for(recipe, checkpoint.policy, frames)
    rows: list[dict[str, Any]] = []

    def log(row: dict[str, Any]) -> None:
        rows.append(row)
        on_progress(f"learning to see, loss {row['loss']:.3f}", row["step"], row["of"])

    warm_up_vision(
        checkpoint,
        samples,
        hand_tracks_of(samples),
        policy=policy,
        config=config,
        log=log,
        on_decode=lambda done, total: on_progress("decoding clips", done, total),
    )
    part = out.with_name(f".{out.name}.part")
    notes = {"base": checkpoint.identity, "warm_up": plain(config)}
    tokenizer = checkpoint.encoder.tokenizer
    save_checkpoint(checkpoint.network, tokenizer, policy, part, notes=notes)
    append_lines(part / "warm_up.jsonl", rows)
    part.rename(out)
    late = [row["loss"] for row in rows[-max(1, len(rows) // 10) :]]
    return fmean(late)
