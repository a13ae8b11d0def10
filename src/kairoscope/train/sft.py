"""Supervised fine-tuning: one flat loop."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, Task
from kairoscope.data.learned_clips import hashes_of
from kairoscope.data.tracks import HandTrack
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.train.check import check_config
from kairoscope.train.feed import Feed, ahead
from kairoscope.train.filling import ready_clips
from kairoscope.train.group import ALONE, Group
from kairoscope.train.judging import (
    Judge,
    Log,
    TrainResult,
    check_row,
    check_some,
    with_answers,
)
from kairoscope.train.mixing import Mix, epoch_size, strata_of
from kairoscope.train.optimise import optimise
from kairoscope.train.pace import Pace
from kairoscope.train.schedule import learning_rate, num_steps
from kairoscope.train.state import TrainState, load_latest, save_state
from kairoscope.train.trainable import prepare


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
) -> TrainResult:
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
    log(check_row(samples, rejected, strata))
    check_some(samples, rejected, len(train))
    judged = with_answers(held_out, config)
    steps = num_steps(config, epoch_size(strata))
    trained = prepare(checkpoint.network, config, group)
    state = load_latest(out, trained, group, on_warning) or TrainState()
    judge = Judge(
        checkpoint=checkpoint,
        task=task,
        samples=judged,
        policy=policy,
        config=config,
        trained=trained,
        state=state,
        out=out,
        log=log,
        group=group,
        learned=hashes_of([sample.video for sample in samples]),
    )
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
                judge.score()
                last = last or state.out_of_patience(config)
            if state.step % config.save_every == 0 or last:
                save_state(out, trained, state, config.keep_checkpoints, group)
            if last:
                break
    return judge.result(steps, rejected)
