"""What every training does beside its steps: judge held-out samples, keep the best, say what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, Task, UserError
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.train.group import Group
from kairoscope.train.held_out import held_out_score
from kairoscope.train.mixing import Strata, label_counts
from kairoscope.train.state import TrainState, save_best
from kairoscope.train.survey import Rejected
from kairoscope.train.trainable import Trained

Log = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Scores the held-out samples during training and keeps the best weights."""

    checkpoint: Checkpoint
    task: Task[Any, Any]
    samples: Sequence[Sample[Any, Any]]
    """With gold answers; may be none."""
    policy: FramePolicy
    config: SFTConfig
    trained: Trained
    state: TrainState
    out: Path
    log: Log
    group: Group
    learned: Sequence[str] = ()
    """Of the clips that are trained on, where they are few; see `learned_clips`."""

    def score(self) -> None:
        """Score with the averaged weights where there are such; keep the best. A collective call."""
        trained, state = self.trained, self.state
        with trained.best_weights():
            batch_size = _judged_together(trained, self.config)
            with trained.whole() as network:
                whole = replace(self.checkpoint, network=network)
                scores = held_out_score(
                    whole,
                    self.task,
                    self.samples,
                    self.policy,
                    batch_size=batch_size,
                    group=self.group,
                )
            self.log({"kind": "held_out", "step": state.step, **scores})
            headline = scores[self.task.headline]
            if state.takes_best(headline, self.task, self.config.min_improvement):
                self._keep()

    def keep_last(self) -> None:
        """Without a score to choose by, the last weights are the best. A collective call."""
        self.state.best_step = self.state.step
        with self.trained.best_weights():
            self._keep()

    def _keep(self) -> None:
        """The present weights are the best."""
        keep = partial(save_best, self.out, self.trained, self.checkpoint, self.policy)
        keep(self.state, self.config, self.group, self.task.name, self.learned)

    def result(self, steps: int, rejected: Sequence[Rejected]) -> TrainResult:
        """What the run came to; keeps the last weights where nothing was judged. A collective call."""
        state = self.state
        if state.best_step is None:
            self.keep_last()
        return TrainResult(
            best_step=state.step if state.best_step is None else state.best_step,
            best_score=float("nan") if state.best_score is None else state.best_score,
            num_steps=steps,
            last_step=state.step,
            rejected=tuple(rejected),
            checkpoint=self.out / "best",
        )


def check_row(
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


def check_some(
    samples: Sequence[Sample[Any, Any]], rejected: Sequence[Rejected], given: int
) -> None:
    """Raise UserError where no sample of those `given` is left to train on."""
    if not samples:
        first = f", such as {rejected[0].sample_id}: {rejected[0].reason}" if rejected else ""
        raise UserError(f"none of the {given} samples can be trained on{first}")


def with_answers(held_out: Sequence[Sample[Any, Any]], config: SFTConfig) -> list[Sample[Any, Any]]:
    """The held-out samples that can be judged. Raises UserError where none is, and one is needed."""
    judged = [sample for sample in held_out if sample.gold is not None]
    if config.patience is not None and not judged:
        raise UserError("patience needs held-out samples with answers; give --held-out")
    return judged


def _judged_together(trained: Trained, config: SFTConfig) -> int:
    """Held-out clips that share a forward pass: what training fits, and what pays on the device."""
    return min(4 if trained.network.device.type == "cpu" else 64, config.micro_batch_size)
