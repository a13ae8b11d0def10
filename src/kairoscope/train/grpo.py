"""Reinforcement learning with group-relative advantages (GRPO): one flat loop.

Every step draws groups of answers from the present weights, judges them, and learns from those groups in
which answers differ. Nothing is ever older than the step: there is no replay and no stale policy.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from kairoscope.config import GRPOConfig
from kairoscope.core import FramePolicy, Sample, Task
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.train.answering import Answering, summed_up
from kairoscope.train.feed import ahead
from kairoscope.train.filling import ready_clips
from kairoscope.train.group import ALONE, Group
from kairoscope.train.grpo_check import check_grpo, training_part
from kairoscope.train.judging import (
    Judge,
    Log,
    TrainResult,
    check_row,
    check_some,
    with_answers,
)
from kairoscope.train.learning import Learner
from kairoscope.train.mixing import Mix, epoch_size, strata_of
from kairoscope.train.prompts import Prompted, PromptFeed
from kairoscope.train.reference import reference_for, said_of
from kairoscope.train.rewards import Weights, why_unrewarded
from kairoscope.train.schedule import learning_rate, num_steps
from kairoscope.train.state import TrainState, load_latest, save_state
from kairoscope.train.survey import Rejected
from kairoscope.train.trainable import prepare

SHOWN_GROUPS = 1
"""Groups of a step whose best and worst answers are kept in the log."""


def grpo(
    checkpoint: Checkpoint,
    task: Task[Any, Any],
    train: Sequence[Sample[Any, Any]],
    held_out: Sequence[Sample[Any, Any]],
    *,
    policy: FramePolicy,
    config: GRPOConfig,
    weights: Weights,
    out: Path,
    log: Log,
    on_check: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_plan: Callable[[str], None] | None = None,
    mix: Mix | None = None,
    group: Group = ALONE,
) -> TrainResult:
    """Train a checkpoint on rewards; run again after a kill to go on where it stopped.

    Args:
        checkpoint: the starting point, and the reference where `kl_beta` is above 0; its network is
            trained in place.
        task: gives prompts, parser, and the metric on the held-out samples.
        train: samples with gold answers, which rewards are measured against.
        held_out: samples of other groups, for choosing the best checkpoint; judged before the first
            step as well.
        policy: frames that the model sees.
        config: see `GRPOConfig`.
        weights: names of rewards with their weights.
        out: folder for checkpoints (`state/`, `best/`).
        log: takes a row of every step and evaluation, and some answers of every step.
        on_check: progress of the check before the first step.
        on_warning: told of saved states that are damaged and left aside.
        on_plan: told what the reference policy is.
        mix: where samples come from, and how much of each source an epoch takes.
        group: processes that train together, each calling this with the same arguments; they share out
            the prompts of every step.

    Raises:
        UserError: impossible settings, no sample left, numbers that diverge, a full disk.
    """
    check_grpo(config)
    common = training_part(config)
    group.check_batch_size(common.batch_size)
    store, samples, rejected = ready_clips(
        checkpoint,
        task,
        train,
        policy=policy,
        config=common,
        out=out,
        group=group,
        on_check=on_check,
    )
    samples, rejected = _rewarded(samples, rejected, weights)
    strata = strata_of(samples, config.balance, mix)
    log(check_row(samples, rejected, strata))
    check_some(samples, rejected, len(train))
    judged = with_answers(held_out, common)
    steps = num_steps(common, epoch_size(strata))
    reference = reference_for(checkpoint.network, config)
    (on_plan or (lambda _: None))(said_of(reference))
    trained = prepare(checkpoint.network, common, group)
    state = load_latest(out, trained, group, on_warning) or TrainState()
    judge = Judge(
        checkpoint=checkpoint,
        task=task,
        samples=judged,
        policy=policy,
        config=common,
        trained=trained,
        state=state,
        out=out,
        log=log,
        group=group,
    )
    tower = checkpoint.network.model.visual
    answering = Answering(
        checkpoint=checkpoint,
        task=task,
        config=config,
        weights=weights,
        sees_once=not any(p.requires_grad for p in tower.parameters()),
    )
    learner = Learner(
        trained=trained,
        geometry=checkpoint.encoder.geometry,
        config=config,
        reference=reference,
        group=group,
    )
    feed = PromptFeed(
        encoder=checkpoint.encoder,
        task=task,
        samples=samples,
        store=store,
        policy=policy,
        config=config,
        strata=strata,
        group=group,
    )
    if judged and state.step == 0:
        judge.score()
    ended = bool(judged) and state.out_of_patience(common)
    with closing(ahead(feed, state.step, steps)) as coming:
        for step in () if ended else range(state.step, steps):
            rate = learning_rate(common, step, steps)
            row, shown = _step(answering, learner, next(coming), step, rate)
            state.step = step + 1
            trained.follow(state.step)
            log({"kind": "step", "step": state.step, "of": steps, **row})
            log({"kind": "answers", "step": state.step, "groups": shown})
            last = state.step == steps
            if judged and (state.step % config.eval_every == 0 or last):
                judge.score()
                last = last or state.out_of_patience(common)
            if state.step % config.save_every == 0 or last:
                save_state(out, trained, state, config.keep_checkpoints, group)
            if last:
                break
    return judge.result(steps, rejected)


def _step(
    answering: Answering, learner: Learner, prompts: Sequence[Prompted], step: int, rate: float
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """One step: what is worth logging, and some answers to look at. A collective call."""
    started = time.perf_counter()
    groups = answering(prompts, step)
    answered = time.perf_counter()
    row = learner(groups, rate)
    everyones = learner.group.merged([one.summary() for one in groups])
    row |= summed_up(everyones, answering.weights)
    row["seconds"] = time.perf_counter() - started
    row["answering_seconds"] = answered - started
    return row, [one.shown() for one in groups[:SHOWN_GROUPS]]


def _rewarded(
    samples: Sequence[Sample[Any, Any]], rejected: Sequence[Rejected], weights: Weights
) -> tuple[list[Sample[Any, Any]], list[Rejected]]:
    """The samples whose answers can be rewarded, and all others with reasons."""
    good, bad = [], list(rejected)
    for sample in samples:
        why = why_unrewarded(sample.gold, weights)
        if why is None:
            good.append(sample)
        else:
            bad.append(Rejected(sample_id=sample.id, reason=why))
    return good, bad
