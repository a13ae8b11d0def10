"""Supervised fine-tuning: one flat loop."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, Task, UserError
from kairoscope.data.tracks import HandTrack
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.train.check import check_config, why_unfit
from kairoscope.train.clips import ClipStore
from kairoscope.train.feed import Feed, ahead
from kairoscope.train.held_out import held_out_score
from kairoscope.train.optimise import optimise
from kairoscope.train.schedule import learning_rate, num_steps
from kairoscope.train.state import TrainState, load_latest, save_best, save_state
from kairoscope.train.survey import Rejected, survey
from kairoscope.train.trainable import Trained, prepare

Log = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTResult:
    """What a run came to."""

    best_step: int
    best_score: float
    """Of the task's headline metric on the held-out samples; NaN where there were none."""
    num_steps: int
    rejected: tuple[Rejected, ...]
    checkpoint: Path
    """Folder of the best checkpoint, which transformers loads."""


def sft(
    checkpoint: Checkpoint,
    task: Task[Any, Any],
    train: Sequence[Sample[Any, Any]],
    held_out: Sequence[Sample[Any, Any]],
    *,
    policy: FramePolicy,
    config: SFTConfig,
    out: Path,
    log: Log,
    on_check: Callable[[int, int], None] | None = None,
    tracks: Mapping[str, HandTrack] | None = None,
) -> SFTResult:
    """Fine-tune a checkpoint on samples; run again after a kill to go on where it stopped.

    Args:
        checkpoint: the starting point; its network is trained in place.
        task: gives prompts, targets, and the metric on the held-out samples.
        train: samples with gold answers.
        held_out: samples of other groups, for choosing the best checkpoint; those without a gold
            answer are left aside.
        policy: frames that the model sees, in training and evaluation alike.
        config: see `SFTConfig`.
        out: folder for checkpoints (`state/`, `best/`).
        log: takes one row an optimiser step and one an evaluation. After a kill the steps since
            the last saved state are done, and logged, again.
        on_check: progress of the check before the first step.
        tracks: sample id -> what its hand does, for the dense loss.

    Raises:
        UserError: impossible settings, no sample left, numbers that diverge, a full disk.
    """
    check_config(config)
    encoder = checkpoint.encoder
    limit = None if config.clips_gib is None else int(config.clips_gib * 2**30)
    store = ClipStore(
        policy, encoder.geometry, dense=config.augment, limit_bytes=limit, tracks=tracks
    )
    unfit = partial(why_unfit, encoder, task, policy, config)
    samples, rejected = survey(store, train, unfit, on_check)
    log({"kind": "check", "kept": len(samples), "rejected": [asdict(r) for r in rejected]})
    if not samples:
        first = f", such as {rejected[0].sample_id}: {rejected[0].reason}" if rejected else ""
        raise UserError(f"none of the {len(train)} samples can be trained on{first}")
    judged = [sample for sample in held_out if sample.gold is not None]
    steps = num_steps(config, len(samples))
    trained = prepare(checkpoint.network, config)
    state = load_latest(out, trained) or TrainState()
    keep_best = partial(save_best, out, trained, checkpoint, policy, state, config)
    feed = Feed(
        encoder=encoder, task=task, samples=samples, store=store, policy=policy, config=config
    )
    with closing(ahead(feed, state.step, steps)) as coming:
        for step in range(state.step, steps):
            started = time.perf_counter()
            rate = learning_rate(config, step, steps)
            row = optimise(trained, encoder.geometry, next(coming), config, rate)
            state.step = step + 1
            seconds = time.perf_counter() - started
            log({"kind": "step", "step": state.step, "of": steps, **row, "seconds": seconds})
            last = state.step == steps
            if judged and (state.step % config.eval_every == 0 or last):
                scores = held_out_score(
                    checkpoint, task, judged, policy, batch_size=_judged_together(trained, config)
                )
                log({"kind": "held_out", "step": state.step, **scores})
                if state.takes_best(scores[task.headline], task):
                    keep_best()
            if state.step % config.save_every == 0 or last:
                save_state(out, trained, state, config.keep_checkpoints)
    if state.best_step is None:
        state.best_step = state.step
        keep_best()
    return SFTResult(
        best_step=state.best_step,
        best_score=float("nan") if state.best_score is None else state.best_score,
        num_steps=steps,
        rejected=tuple(rejected),
        checkpoint=out / "best",
    )


def _judged_together(trained: Trained, config: SFTConfig) -> int:
    """Held-out clips that share a forward pass: what training fits, and what pays on the device."""
    return min(4 if trained.network.device.type == "cpu" else 64, config.micro_batch_size)
