"""The task's own metric on held-out samples, during training."""

from collections.abc import Sequence
from functools import partial
from statistics import fmean
from typing import Any

import torch

from kairoscope.core import (
    Answered,
    Completion,
    Decoding,
    Failed,
    FramePolicy,
    Request,
    Sample,
    Sampling,
    Task,
    Unparsed,
)
from kairoscope.models.chat import text_ids
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.models.in_process import InProcessModel
from kairoscope.train.group import ALONE, Group


def held_out_score(
    checkpoint: Checkpoint,
    task: Task[Any, Any],
    samples: Sequence[Sample[Any, Any]],
    policy: FramePolicy,
    *,
    batch_size: int = 4,
    group: Group = ALONE,
) -> dict[str, float]:
    """Every metric of the task over the samples, decoded as in evaluation.

    Args:
        checkpoint: in training; is left in training mode.
        task: prompt, grammar, parser and scores.
        samples: with gold answers. A clip that does not decode scores worst, as everywhere.
        policy: frames that the model sees.
        batch_size: clips that share a forward pass; changes no answer.
        group: processes among which the samples are shared out. A collective call.
    """
    network = checkpoint.network
    by_id = {sample.id: sample for sample in samples}
    requests = [
        Request(
            id=sample.id,
            video=sample.video,
            prompt=task.prompt(sample.query),
            policy=policy,
            template=partial(task.template, sample.query),
        )
        for sample in group.share(samples)
    ]
    scores: list[dict[str, float]] = []
    answered: list[tuple[str, Answered]] = []
    network.eval()
    with torch.inference_mode():
        model = InProcessModel(checkpoint, batch_size=batch_size)
        for sample_id, answer in model.answer(requests, *_way(checkpoint, task, samples)):
            sample = by_id[sample_id]
            value, expected = _read(task, sample, answer)
            scores.append(task.score(value, sample))
            beside = Answered(value=value, expected=expected, gold=sample.gold, group=sample.group)
            answered.append((sample.id, beside))
    network.train()
    everyones = [values for part in group.gathered(scores) for values in part]
    # In the order of their names: sums of many processes are then those of one, to the bit.
    all_answered = sorted(
        (pair for part in group.gathered(answered) for pair in part), key=lambda pair: pair[0]
    )
    means = {key: fmean(values[key] for values in everyones) for key in task.metrics if everyones}
    return means | task.together([beside for _, beside in all_answered])


def _way(
    checkpoint: Checkpoint, task: Task[Any, Any], samples: Sequence[Sample[Any, Any]]
) -> tuple[Sampling, Decoding]:
    """How answers are written: by the task's grammar, or freely, somewhat longer than the true ones."""
    if all(task.template(sample.query, (0.0,)) for sample in samples):
        return Sampling(), "posterior"
    answers = (task.render(sample.query, sample.gold) for sample in samples)
    longest = max(len(text_ids(checkpoint.encoder, answer)) for answer in answers)
    return Sampling(max_new_tokens=longest + longest // 4 + 8), "free"


def _read(
    task: Task[Any, Any], sample: Sample[Any, Any], answer: tuple[Completion, ...] | Failed
) -> tuple[Any, float | None]:
    """The value of an answer, and the mean of its distribution."""
    if isinstance(answer, Failed):
        return Unparsed(answer.reason), None
    return task.parse(sample.query, answer[0].text), task.expected(answer[0].posteriors)
