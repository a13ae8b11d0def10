"""Supervised fine-tuning: one flat loop."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, Task, UserError
from kairoscope.data.tracks import HandTrack
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.train.check import check_config
from kairoscope.train.feed import Feed, ahead
from kairoscope.train.filling import ready_clips
from kairoscope.train.group import ALONE, Group
from kairoscope.train.held_out import held_out_score
from kairoscope.train.mixing import Mix, Strata, epoch_size, label_counts, strata_of
from kairoscope.train.optimise import optimise
from kairoscope.train.pace import Pace
from kairoscope.train.schedule import learning_rate, num_steps
from kairoscope.train.state import TrainState, load_latest, save_best, save_state
from kairoscope.train.survey import Rejected
from kairoscope.train.trainable import Trained, prepare

Log = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTResult:
    """What a run came to."""

    best_step: int
    best_score: float
    """Of the task's headline metric on the held-out samples; NaN where there were none."""
    num_steps: int
    last_step: int
    """Where the run ended: `num_steps`, or earlier where it ran out of patience."""
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
    on_warning: Callable[[str], None] | None = None,
    on_plan: Callable[[str], None] | None = None,
    tracks: Mapping[str, HandTrack] | None = None,
    mix: Mix | None = None,
    group: Group = ALONE,
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
        on_warning: told of saved states that are damaged and left aside.
        on_plan: told what `config.cache` will take, before it is spent.
        tracks: sample id -> what its hand does, for the dense loss.
        mix: where samples come from, and how much of each source an epoch takes.
        group: processes that train together, each calling this with the same arguments; the first
            writes. Losses and weights are those of one process, to rounding.

    Raises:
        UserError: impossible settings, no sample left, numbers that diverge, a full disk.
    """
    check_config(config)
    group.check_batch_size(config.batch_size)
    encoder = checkpoint.encoder
    store, samples, rejected = ready_clips(
        checkpoint,
        task,
        train,
        policy=policy,
        config=config,
        out=out,
        tracks=tracks,
        group=group,
        on_check=on_check,
        on_plan=on_plan,
    )
    strata = strata_of(samples, config.balance, mix)
    log(_check_row(samples, rejected, strata))
    if not samples:
        first = f", such as {rejected[0].sample_id}: {rejected[0].reason}" if rejected else ""
        raise UserError(f"none of the {len(train)} samples can be trained on{first}")
    judged = _with_answers(held_out, config)
    steps = num_steps(config, epoch_size(strata))
    trained = prepare(checkpoint.network, config, group)
    state = load_latest(out, trained, group, on_warning) or TrainState()
    keep_best = partial(save_best, out, trained, checkpoint, policy, state, config, group)
    feed = Feed(
        encoder=encoder,
        task=task,
        samples=samples,
        store=store,
        policy=policy,
        config=config,
        group=group,
        strata=strata,
    )
    pace = Pace(trained.network, group)
    judge = partial(_judge, checkpoint, task, judged, policy, config, trained, log, group)
    ended = bool(judged) and state.out_of_patience(config)
    with closing(ahead(feed, state.step, steps)) as coming:
        for step in () if ended else range(state.step, steps):
            started = time.perf_counter()
            rate = learning_rate(config, step, steps)
            batch = next(coming)
            row = optimise(trained, encoder.geometry, batch, config, rate, group)
            state.step = step + 1
            trained.follow(state.step)
            row |= pace.row(batch, time.perf_counter() - started)
            log({"kind": "step", "step": state.step, "of": steps, **row})
            last = state.step == steps
            if judged and (state.step % config.eval_every == 0 or last):
                judge(state, keep_best)
                last = last or state.out_of_patience(config)
            if state.step % config.save_every == 0 or last:
                save_state(out, trained, state, config.keep_checkpoints, group)
            if last:
                break
    if state.best_step is None:
        _keep_last(trained, state, keep_best)
    return SFTResult(
        best_step=state.best_step or state.step,
        best_score=float("nan") if state.best_score is None else state.best_score,
        num_steps=steps,
        last_step=state.step,
        rejected=tuple(rejected),
        checkpoint=out / "best",
    )


def _check_row(
    samples: Sequence[Sample[Any, Any]], rejected: Sequence[Rejected], strata: Strata
) -> dict[str, Any]:
    """What is trained on, what is not and why, and how often which sample comes."""
    return {
        "kind": "check",
        "kept": len(samples),
        "rejected": [asdict(one) for one in rejected],
        "labels": label_counts(samples),
        "epoch": [
            {"name": s.name, "samples": len(s.indices), "per_epoch": s.per_epoch} for s in strata
        ],
    }


def _with_answers(
    held_out: Sequence[Sample[Any, Any]], config: SFTConfig
) -> list[Sample[Any, Any]]:
    """The held-out samples that can be judged. Raises UserError where none is, and one is needed."""
    judged = [sample for sample in held_out if sample.gold is not None]
    if config.patience is not None and not judged:
        raise UserError("patience needs held-out samples with answers; give --held-out")
    return judged


def _judge(
    checkpoint: Checkpoint,
    task: Task[Any, Any],
    judged: Sequence[Sample[Any, Any]],
    policy: FramePolicy,
    config: SFTConfig,
    trained: Trained,
    log: Log,
    group: Group,
    state: TrainState,
    keep_best: Callable[[], None],
) -> None:
    """Score the held-out samples, with the averaged weights where there are such; keep the best."""
    with trained.best_weights():
        batch_size = _judged_together(trained, config)
        with trained.whole() as network:
            whole = replace(checkpoint, network=network)
            scores = held_out_score(whole, task, judged, policy, batch_size=batch_size, group=group)
        log({"kind": "held_out", "step": state.step, **scores})
        if state.takes_best(scores[task.headline], task, config.min_improvement):
            keep_best()


def _keep_last(trained: Trained, state: TrainState, keep_best: Callable[[], None]) -> None:
    """Without a score to choose by, the last weights are the best."""
    state.best_step = state.step
    with trained.best_weights():
        keep_best()


def _judged_together(trained: Trained, config: SFTConfig) -> int:
    """Held-out clips that share a forward pass: what training fits, and what pays on the device."""
    return min(4 if trained.network.device.type == "cpu" else 64, config.micro_batch_size)
