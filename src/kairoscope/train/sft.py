"""Supervised fine-tuning. The loop around its steps is `train/loop.py`."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, Task
from kairoscope.data.tracks import HandTrack
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.train.check import check_config
from kairoscope.train.feed import Feed
from kairoscope.train.group import ALONE, Group
from kairoscope.train.judging import Log, TrainResult
from kairoscope.train.loop import Surroundings, ready
from kairoscope.train.mixing import Mix
from kairoscope.train.optimise import optimise
from kairoscope.train.pace import Pace


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
    around = Surroundings(
        policy=policy,
        out=out,
        log=log,
        on_check=on_check,
        on_warning=on_warning,
        on_plan=on_plan,
        mix=mix,
        group=group,
    )
    training = ready(checkpoint, task, train, held_out, config=config, around=around, tracks=tracks)
    encoder, trained = checkpoint.encoder, training.trained
    feed = Feed(
        encoder=encoder,
        task=task,
        samples=training.samples,
        store=training.store,
        policy=policy,
        config=config,
        group=group,
        strata=training.strata,
    )
    pace = Pace(trained.network, group)

    def step(batch: Any, _number: int, rate: float) -> tuple[dict[str, Any], tuple[()]]:
        started = time.perf_counter()
        row = optimise(trained, encoder.geometry, batch, config, rate, group)
        return row | pace.row(batch, time.perf_counter() - started), ()

    return training.run(feed, step)
