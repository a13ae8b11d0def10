"""The task's own metric on held-out samples, during training."""

from collections.abc import Sequence
from functools import partial
from statistics import fmean
from typing import Any

import torch

from kairoscope.core import Failed, FramePolicy, Request, Sample, Sampling, Task, Unparsed
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
    """Mean of every metric of the task over the samples, decoded as in evaluation.

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
    network.eval()
    with torch.inference_mode():
        model = InProcessModel(checkpoint, batch_size=batch_size)
        for sample_id, answer in model.answer(requests, Sampling(), "posterior"):
            sample = by_id[sample_id]
            if isinstance(answer, Failed):
                values = task.score(Unparsed(answer.reason), sample)
            else:
                values = task.score(task.parse(sample.query, answer[0].text), sample)
            scores.append(values)
    network.train()
    everyones = [values for part in group.gathered(scores) for values in part]
    return {key: fmean(values[key] for values in everyones) for key in task.metrics if everyones}
