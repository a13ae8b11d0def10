"""The stage that lets a new vision tower learn to see before anything else is trained.

FOLDER               the checkpoint, with the log of the steps in it: there once it is whole
FOLDER.unfinished    the run on the way there: settings, log, state to go on from
"""

import hashlib
import json
import shutil
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from kairoscope.config import Recipe, SFTConfig
from kairoscope.core import FramePolicy, UnreadableClip, UserError
from kairoscope.data.clips import hash_clip
from kairoscope.data.tracks import HandTrack, hand_tracks_of
from kairoscope.json_lines import append_lines, read_lines
from kairoscope.models.checkpoint import Checkpoint, save_checkpoint
from kairoscope.models.load import described, load_weights
from kairoscope.models.names import located
from kairoscope.models.saving import written_whole
from kairoscope.recipes.stages import AnySample, Frames, Progress, load_data, policy_for
from kairoscope.run_folders import differing
from kairoscope.runs import Run
from kairoscope.storage import plain, read_json, storage_error
from kairoscope.train.schedule import warmup_advice
from kairoscope.train.vision_warmup import DEFAULT_STEPS, warm_up_vision

LOG = "warm_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """What came of it."""

    loss: float
    """Mean of the last tenth of the steps, in nats."""
    num_clips: int
    left_out: tuple[str, ...]
    """Clips and label rows that nothing can be learned from, with reasons."""


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
    on_advice: Callable[[str], None] | None = None,
) -> WarmUp:
    """Let a vision tower learn to see the hand, from the tracks beside the labels of `data`.

    Writes a checkpoint to `out` with the log of the steps in it (`warm_up.jsonl`), whole or not at
    all; until then everything is in `out`.unfinished, from where the same command goes on. A
    checkpoint that it has made already is left as it is.

    Raises:
        UserError: something else at `out`, other settings than the unfinished run has, or what
            `warm_up_vision` raises.
    """
    samples, problems = load_data(data)
    tracks = hand_tracks_of(samples)
    identity, own = described(located(model))
    policy = policy_for(recipe, own, frames)
    asked = {
        "recipe": recipe.name,
        "model": model,
        "model_identity": identity,
        "data": _digest(samples, tracks, on_progress),
        "frames": plain(policy),
        "sft": plain(config),
    }
    unfinished = out.with_name(f"{out.name}.unfinished")
    if _is_finished(out, asked):
        # A kill may have come between the two last steps.
        shutil.rmtree(unfinished, ignore_errors=True)
    else:
        with Run.open(unfinished, kind=LOG, config=asked) as run:
            advice = warmup_advice(config, config.max_steps or DEFAULT_STEPS)
            if advice and on_advice:
                on_advice(advice)

            def log(row: dict[str, Any]) -> None:
                run.append(LOG, row)
                on_progress(f"learning to see, loss {row['loss']:.3f}", row["step"], row["of"])

            checkpoint = load_weights(model, device=device, training=True)
            rejected = warm_up_vision(
                checkpoint,
                samples,
                tracks,
                policy=policy,
                config=config,
                out=run.path,
                log=log,
                on_decode=lambda done, total: on_progress("decoding clips", done, total),
            )
            reasons = [f"{one.sample_id}: {one.reason}" for one in rejected]
            left_out = [*reasons, *map(str, problems)]
            _write(checkpoint, policy, run, out, asked, left_out)
        shutil.rmtree(unfinished)
    return _result(out, len(samples) + len(problems))


def _digest(
    samples: Sequence[AnySample], tracks: Mapping[str, HandTrack], on_progress: Progress
) -> dict[str, Any]:
    """Number and hash of the clips and their tracks, wherever they lie."""
    whole = hashlib.sha256()
    for done, sample in enumerate(sorted(samples, key=lambda s: s.id), 1):
        try:
            clip = hash_clip(sample.video)
        except UnreadableClip:
            clip = ""
        whole.update(f"{sample.id!r} {clip}\n".encode())
        track = tracks.get(sample.id)
        if track is not None:
            for values in (track.times_s, track.column, track.row, track.opening, track.holding):
                whole.update(array("d", values).tobytes())
        on_progress("looking at the clips", done, len(samples))
    return {"count": len(samples), "sha256": whole.hexdigest()}


def _is_finished(out: Path, asked: Mapping[str, Any]) -> bool:
    """Whether the checkpoint is there already. Raises UserError for anything else at its place."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    file = out / "kairoscope.json"
    notes = read_json(file) if file.is_file() else None
    made_with = notes.get("warm_up") if isinstance(notes, dict) else None
    if not isinstance(made_with, dict):
        raise UserError(f"{out}: is there already; choose a new folder for the checkpoint")
    differences = [
        f"\n  {k}: {old} there, {new} now" for k, old, new in differing(made_with, asked)
    ]
    if differences:
        raise UserError(
            f"{out}: is there already, made with other settings; choose a new folder for the "
            f"checkpoint{''.join(differences[:8])}"
        )
    return True


def _write(
    checkpoint: Checkpoint,
    policy: FramePolicy,
    run: Run,
    out: Path,
    asked: Mapping[str, Any],
    left_out: Sequence[str],
) -> None:
    """Write the checkpoint in the run's folder and move it to its place."""
    made = run.path / "checkpoint"
    notes = {"base": asked["model_identity"], "warm_up": dict(asked)}
    with written_whole(made) as temporary:
        tokenizer = checkpoint.encoder.tokenizer
        save_checkpoint(checkpoint.network, tokenizer, policy, temporary, notes=notes)
        # Steps that were done again after a kill said the same again.
        append_lines(temporary / f"{LOG}.jsonl", list(run.rows(LOG, ("step",))))
        (temporary / "left_out.json").write_text(json.dumps(left_out, indent=1) + "\n")
    try:
        made.replace(out)
    except OSError as error:
        raise storage_error(error, out) from error


def _result(out: Path, num_clips: int) -> WarmUp:
    losses = [row["loss"] for row in read_lines(out / f"{LOG}.jsonl")]
    left_out = read_json(out / "left_out.json")
    return WarmUp(
        loss=fmean(losses[-max(1, len(losses) // 10) :]),
        num_clips=num_clips - len(left_out),
        left_out=tuple(left_out),
    )
