"""Reinforcement learning with group-relative advantages (GRPO). The loop around it is `train/loop.py`.

Every step draws groups of answers from the present weights, judges them, and learns from those groups in
which answers differ. Nothing is ever older than the step: there is no replay and no stale policy.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kairoscope.config import GRPOConfig
from kairoscope.core import FramePolicy, Sample, Task
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.train.answering import Answering, summed_up
from kairoscope.train.group import ALONE, Group
from kairoscope.train.grpo_check import check_grpo, training_part
from kairoscope.train.judging import Log, TrainResult
from kairoscope.train.learning import Learner
from kairoscope.train.loop import Surroundings, Training, ready
from kairoscope.train.mixing import Mix
from kairoscope.train.prompts import Prompted, PromptFeed
from kairoscope.train.reference import Reference, reference_for, said_of
from kairoscope.train.rewards import Weights, why_unrewarded

if TYPE_CHECKING:
    from kairoscope.train.served import RolloutServer, ServedRollouts

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
    server: "RolloutServer | None" = None,
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
        server: draws the answers, with the present weights; None: this process does.
        group: processes that train together, each calling this with the same arguments; they share out
            the prompts of every step.

    Raises:
        UserError: impossible settings, no sample left, numbers that diverge, a full disk, a server that
            has ended or has other weights than these.
    """
    check_grpo(config)
    if server is not None:
        from kairoscope.train.served import ServedRollouts, check_served

        check_served(config)
    common = training_part(config)
    group.check_batch_size(common.batch_size)
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
    # Before the network is prepared for training.
    reference = reference_for(checkpoint.network, config)
    training = ready(
        checkpoint,
        task,
        train,
        held_out,
        config=common,
        around=around,
        why_not=lambda sample: why_unrewarded(sample.gold, weights),
    )
    (on_plan or (lambda _: None))(said_of(reference))
    with ExitStack() as until_the_end:
        served = None
        if server is not None:
            served = ServedRollouts.of(server, checkpoint, task, config, training)
            until_the_end.enter_context(closing(served))
        step = _Step.of(checkpoint, task, config, weights, training, reference, served)
        return training.run(_feed(checkpoint, task, config, training), step, judge_first=True)


def _feed(
    checkpoint: Checkpoint, task: Task[Any, Any], config: GRPOConfig, training: Training
) -> PromptFeed:
    return PromptFeed(
        encoder=checkpoint.encoder,
        task=task,
        samples=training.samples,
        store=training.store,
        policy=training.around.policy,
        config=config,
        strata=training.strata,
        group=training.around.group,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One step: answers, then learning from them."""

    answering: Answering
    learner: Learner

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        task: Task[Any, Any],
        config: GRPOConfig,
        weights: Weights,
        training: Training,
        reference: Reference | None,
        served: "ServedRollouts | None",
    ) -> "_Step":
        tower = checkpoint.network.model.visual
        answering = Answering(
            checkpoint=checkpoint,
            task=task,
            config=config,
            weights=weights,
            sees_once=not any(p.requires_grad for p in tower.parameters()),
            served=served,
        )
        learner = Learner(
            trained=training.trained,
            geometry=checkpoint.encoder.geometry,
            config=config,
            reference=reference,
            group=training.around.group,
            importance_cap=None if served is None else config.importance_cap,
        )
        return cls(answering=answering, learner=learner)

    def __call__(
        self, prompts: Sequence[Prompted], number: int, rate: float
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What is worth logging, and some answers to look at. A collective call."""
        answering = self.answering
        started = time.perf_counter()
        synced = answering.served.sync(prompts, number) if answering.served else {}
        groups = answering(prompts, number)
        answered = time.perf_counter()
        row = self.learner(groups, rate)
        everyones = self.learner.group.merged([one.summary() for one in groups])
        row |= summed_up(everyones, answering.weights) | synced
        row["seconds"] = time.perf_counter() - started
        row["answering_seconds"] = answered - started
        shown = [one.shown() for one in groups[:SHOWN_GROUPS]]
        return row, [{"kind": "answers", "groups": shown}]
