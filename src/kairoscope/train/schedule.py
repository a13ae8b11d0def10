"""Learning-rate schedules and the order of samples: pure functions of the step."""

import math
import random
from functools import lru_cache

from kairoscope.config import SFTConfig

MOST_WARMUP_STEPS = 20
"""Unless the user asks for more."""


def learning_rate(config: SFTConfig, step: int, num_steps: int) -> float:
    """Learning rate of optimiser step `step` (0 to num_steps - 1): linear warm-up, then the schedule."""
    warmup = warmup_steps(config, num_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return config.learning_rate
    progress = min(1.0, (step - warmup) / max(1, num_steps - warmup))
    floor = config.min_learning_rate_ratio
    return config.learning_rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def warmup_steps(config: SFTConfig, num_steps: int) -> int:
    """Steps of the warm-up in a run of `num_steps`: the user's own number, or at most a tenth."""
    if config.warmup_steps is not None:
        return config.warmup_steps
    return min(MOST_WARMUP_STEPS, num_steps // 10)


def warmup_advice(config: SFTConfig, num_steps: int) -> str | None:
    """What to say about a warm-up that takes more than half of the run; None where it does not."""
    warmup = warmup_steps(config, num_steps)
    if warmup <= num_steps / 2:
        return None
    return (
        f"warmup_steps is {warmup} and the run has {num_steps} steps: for most of it the learning "
        f"rate has not reached {config.learning_rate:g}; with warmup_steps=none the warm-up takes "
        f"{min(MOST_WARMUP_STEPS, num_steps // 10)} steps"
    )


def num_steps(config: SFTConfig, num_samples: int) -> int:
    """Optimiser steps of a run: `epochs` over the samples, at most `max_steps`, at least one."""
    steps = max(1, round(config.epochs * num_samples / config.batch_size))
    return steps if config.max_steps is None else min(steps, config.max_steps)


def batch_indices(config: SFTConfig, num_samples: int, step: int) -> list[int]:
    """Indices of the samples of optimiser step `step`; each epoch has its own order.

    A batch may run over the end of an epoch, so that every batch has `batch_size` samples.
    """
    first = step * config.batch_size
    indices = []
    for place in range(first, first + config.batch_size):
        epoch, offset = divmod(place, num_samples)
        indices.append(_order(config.seed, epoch, num_samples)[offset])
    return indices


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, num_samples: int) -> tuple[int, ...]:
    order = list(range(num_samples))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return tuple(order)
