"""What every training does around its steps, whatever a step is: ready, go on, step, judge, keep."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, Task
from kairoscope.data.learned_clips import hashes_of
from kairoscope.data.tracks import HandTrack
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.train.clips import Clips
from kairoscope.train.feed import ahead
from kairoscope.train.filling import ready_clips
from kairoscope.train.group import Group
from kairoscope.train.judging import (
    Judge,
    Log,
    TrainResult,
    check_row,
    check_some,
    with_answers,
)
from kairoscope.train.mixing import Mix, Strata, epoch_size, strata_of
from kairoscope.train.schedule import learning_rate, num_steps
from kairoscope.train.state import TrainState, load_latest, save_state
from kairoscope.train.survey import Rejected
from kairoscope.train.trainable import Trained, prepare

AnySample = Sample[Any, Any]
Step = Callable[[Any, int, float], tuple[dict[str, Any], Sequence[dict[str, Any]]]]
"""(what the feed has made for it, number of the step from 0, learning rate) -> the step's row and other
rows for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every method is given beside its samples; `sft.sft` says what each is."""

    policy: FramePolicy
    out: Path
    log: Log
    on_check: Callable[[int, int], None] | None = None
    on_warning: Callable[[str], None] | None = None
    on_plan: Callable[[str], None] | None = None
    mix: Mix | None = None
    group: Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A run that is ready to begin, or to go on."""

    samples: Sequence[AnySample]
    """That are trained on."""
    rejected: Sequence[Rejected]
    store: Clips
    strata: Strata
    trained: Trained
    state: TrainState
    judge: Judge
    config: SFTConfig
    around: Surroundings
    steps: int

    def run(self, feed: Any, step: Step, *, judge_first: bool = False) -> TrainResult:
        """Step until the end or until patience has run out, from where the state is.

        Args:
            feed: a data set whose item i is what step i needs.
            step: changes the weights.
            judge_first: judge the weights from before the first step as well.
        """
        state, judge, steps = self.state, self.judge, self.steps
        if judge_first and judge.samples and state.step == 0:
            judge.score()
        if judge.samples and state.out_of_patience(self.config):
            return judge.result(steps, self.rejected)
        with closing(ahead(feed, state.step, steps)) as coming:
            for number in range(state.step, steps):
                if self._step(step, coming, number):
                    break
        return judge.result(steps, self.rejected)

    def _step(self, step: Step, coming: Iterator[Any], number: int) -> bool:
        """One step with what comes after it; whether it was the last."""
        state, config, log = self.state, self.config, self.around.log
        rate = learning_rate(config, number, self.steps)
        row, others = step(next(coming), number, rate)
        state.step = number + 1
        self.trained.follow(state.step)
        log({"kind": "step", "step": state.step, "of": self.steps, **row})
        for other in others:
            log({"step": state.step, **other})
        last = state.step == self.steps
        if self.judge.samples and (state.step % config.eval_every == 0 or last):
            self.judge.score()
            last = last or state.out_of_patience(config)
        if state.step % config.save_every == 0 or last:
            out, group = self.around.out, self.around.group
            save_state(out, self.trained, state, config.keep_checkpoints, group)
        return last


def ready(
    checkpoint: Checkpoint,
    task: Task[Any, Any],
    train: Sequence[AnySample],
    held_out: Sequence[AnySample],
    *,
    config: SFTConfig,
    around: Surroundings,
    tracks: Mapping[str, HandTrack] | None = None,
    why_not: Callable[[AnySample], str | None] = lambda _: None,
) -> Training:
    """Look at every clip, choose what is trained, and take up where an earlier session stopped.

    Args:
        checkpoint: its network is trained in place.
        task: what is learned.
        train: samples to learn from.
        held_out: samples to judge by.
        config: the settings, as supervised training has them.
        around: see `Surroundings`.
        tracks: sample id -> what its hand does.
        why_not: why a sample that could be shown cannot be learned from; None: it can.

    Raises:
        UserError: no sample left, not enough disk, damaged states.
    """
    group = around.group
    store, fit, rejected = ready_clips(
        checkpoint,
        task,
        train,
        policy=around.policy,
        config=config,
        out=around.out,
        tracks=tracks,
        group=group,
        on_check=around.on_check,
        on_plan=around.on_plan,
    )
    reasons = [(sample, why_not(sample)) for sample in fit]
    samples = [sample for sample, why in reasons if why is None]
    rejected += [Rejected(sample_id=s.id, reason=why) for s, why in reasons if why is not None]
    strata = strata_of(samples, config.balance, around.mix)
    around.log(check_row(samples, rejected, strata))
    check_some(samples, rejected, len(train))
    judged = with_answers(held_out, config)
    trained = prepare(checkpoint.network, config, group)
    state = load_latest(around.out, trained, group, around.on_warning) or TrainState()
    judge = Judge(
        checkpoint=checkpoint,
        task=task,
        samples=judged,
        policy=around.policy,
        config=config,
        trained=trained,
        state=state,
        out=around.out,
        log=around.log,
        group=group,
        learned=hashes_of([sample.video for sample in samples]),
    )
    return Training(
        samples=samples,
        rejected=rejected,
        store=store,
        strata=strata,
        trained=trained,
        state=state,
        judge=judge,
        config=config,
        around=around,
        steps=num_steps(config, epoch_size(strata)),
    )
