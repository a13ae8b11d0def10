"""What is refused before anything is trained: settings, and samples one by one."""

import math
from typing import Any

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, Task, UserError
from kairoscope.events import Event
from kairoscope.models.chat import Encoder
from kairoscope.train.examples import Clip, plain_example, thinned


def check_config(config: SFTConfig) -> None:
    """Raise UserError for settings that no run can follow."""
    counts = (
        "batch_size",
        "micro_batch_size",
        "pack_tokens",
        "eval_every",
        "save_every",
        "keep_checkpoints",
    )
    rules = [(name, getattr(config, name) >= 1, "1 or more") for name in counts]
    rules += [
        ("epochs", 0 < config.epochs < math.inf, "above 0"),
        ("max_steps", config.max_steps is None or config.max_steps >= 1, "none, 1 or more"),
        ("learning_rate", 0 < config.learning_rate < math.inf, "above 0"),
        ("min_learning_rate_ratio", 0 <= config.min_learning_rate_ratio <= 1, "0 to 1"),
        ("vision_learning_rate", _rate(config.vision_learning_rate), "none, above 0"),
        ("projector_learning_rate", _rate(config.projector_learning_rate), "none, above 0"),
        ("decay_share", 0 <= config.decay_share <= 1, "0 to 1"),
        ("warmup_steps", (config.warmup_steps or 0) >= 0, "none, 0 or more"),
        ("warmup_share", 0 <= (config.warmup_share or 0) <= 1, "none, 0 to 1"),
        ("ema_decay", 0 <= config.ema_decay < 1, "0 to below 1"),
        ("ema_every", config.ema_every >= 1, "1 or more"),
        ("patience", config.patience is None or config.patience >= 1, "none, 1 or more"),
        ("min_improvement", 0 <= config.min_improvement < math.inf, "0 or more"),
        ("weight_decay", 0 <= config.weight_decay < math.inf, "0 or more"),
        ("betas", all(0 <= beta < 1 for beta in config.betas), "two numbers from 0 to below 1"),
        ("epsilon", 0 < config.epsilon < math.inf, "above 0"),
        ("max_grad_norm", config.max_grad_norm > 0, "above 0"),
        ("feed_workers", config.feed_workers >= 0, "0 or more"),
        ("clips_gib", config.clips_gib is None or config.clips_gib >= 0, "none, 0 or more"),
        ("dense_weight", 0 <= config.dense_weight < math.inf, "0 or more"),
    ]
    if config.lora is not None:
        rules += [
            ("lora.rank", config.lora.rank >= 1, "1 or more"),
            ("lora.alpha", config.lora.alpha >= 1, "1 or more"),
            ("lora.dropout", 0 <= config.lora.dropout < 1, "0 to below 1"),
        ]
    for name, good, allowed in rules:
        if not good:
            table, _, leaf = name.rpartition(".")
            value = getattr(getattr(config, table) if table else config, leaf)
            raise UserError(f"{name} is {value}; allowed: {allowed}")


def _rate(value: float | None) -> bool:
    return value is None or 0 < value < math.inf


def why_unfit(
    encoder: Encoder,
    task: Task[Any, Any],
    policy: FramePolicy,
    config: SFTConfig,
    sample: Sample[Any, Any],
    clip: Clip,
) -> str | None:
    """Why a sample cannot be trained on, or None where it can."""
    if sample.gold is None:
        return "it has no answer to learn from"
    if (config.augment or config.dense_weight) and not _timed(sample.gold):
        return "augment and dense_weight need an answer of one event or more"
    clip = thinned(clip, policy) if config.augment else clip
    try:
        example = plain_example(encoder, task, sample, clip, policy)
    except ValueError as error:
        return f"its answer cannot be written: {error}"
    if example.num_tokens > config.max_tokens:
        return f"{example.num_tokens} tokens, more than max_tokens = {config.max_tokens}"
    return None


def _timed(gold: Any) -> bool:
    return isinstance(gold, tuple) and bool(gold) and all(isinstance(e, Event) for e in gold)
