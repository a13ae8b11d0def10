"""Learning-rate schedules and the order of samples: pure functions of the step."""

import math

from kairoscope.config import SFTConfig
from kairoscope.train import mixing
from kairoscope.train.mixing import everything

MOST_WARMUP_STEPS = 20
"""Unless the user asks for more."""


def learning_rate(config: SFTConfig, step: int, num_steps: int) -> float:
    """Learning rate of optimiser step `step` (0 to num_steps - 1): linear warm-up, then the schedule."""
    warmup = warmup_steps(config, num_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return config.learning_rate
    decay_steps = min(num_steps - warmup, round(config.decay_share * num_steps))
    progress = (step - (num_steps - decay_steps)) / max(1, decay_steps)
    floor = config.min_learning_rate_ratio
    decayed = _decayed(config, min(1.0, max(0.0, progress)))
    return config.learning_rate * (floor + (1 - floor) * decayed)


def _decayed(config: SFTConfig, progress: float) -> float:
    """From 1 to 0 as the decay goes from 0 to 1."""
    if config.schedule == "linear":
        return 1 - progress
    if config.schedule == "sqrt":
        return 1 - math.sqrt(progress)
    return 0.5 * (1 + math.cos(math.pi * progress))


def warmup_steps(config: SFTConfig, num_steps: int) -> int:
    """Steps of the warm-up in a run of `num_steps`: the user's own number, or at most a tenth."""
    if config.warmup_steps is not None:
        return config.warmup_steps
    if config.warmup_share is not None:
        return int(config.warmup_share * num_steps)
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
    """Optimiser steps of a run: `epochs` over the samples, at most `max_steps`, at least one.

    `num_samples` is how many samples an epoch has; see `SFTConfig.epoch_steps` for epochs that do
    not fill whole batches.
    """
    an_epoch = num_samples / config.batch_size
    if config.epoch_steps == "up":
        an_epoch = math.ceil(an_epoch)
    elif config.epoch_steps == "down":
        an_epoch = max(1, math.floor(an_epoch))
    steps = max(1, round(config.epochs * an_epoch))
    return steps if config.max_steps is None else min(steps, config.max_steps)


def batch_indices(config: SFTConfig, num_samples: int, step: int) -> list[int]:
    """Indices of the samples of optimiser step `step` where each comes once an epoch."""
    return mixing.batch_indices(everything(num_samples), config.seed, config.batch_size, step)
