"""Settings of reinforcement learning: what is refused, and the part that any training has."""

import math
from dataclasses import fields

from kairoscope.config import GRPOConfig, SFTConfig
from kairoscope.core import UserError
from kairoscope.train.check import check_config
from kairoscope.train.rewards import check_rewards

_SHARED = {field.name for field in fields(SFTConfig)} & {field.name for field in fields(GRPOConfig)}


def training_part(config: GRPOConfig) -> SFTConfig:
    """What supervised training would call the same settings: a prompt is a sample."""
    shared = {name: getattr(config, name) for name in _SHARED}
    return SFTConfig(batch_size=config.prompts_per_step, **shared)


def check_grpo(config: GRPOConfig) -> None:
    """Raise UserError for settings that no run can follow."""
    check_config(training_part(config))
    rules = [
        ("group_size", config.group_size >= 2, "2 or more: answers are compared with each other"),
        ("prompts_at_once", config.prompts_at_once >= 1, "1 or more"),
        ("inner_updates", config.inner_updates >= 1, "1 or more"),
        ("epsilon_low", 0 <= config.epsilon_low <= 1, "0 to 1"),
        ("epsilon_high", 0 <= config.epsilon_high < math.inf, "0 or more"),
        ("dual_clip", config.dual_clip >= 1, "1 or more"),
        ("importance_cap", 1 <= config.importance_cap < math.inf, "1 or more"),
        ("kl_beta", 0 <= config.kl_beta < math.inf, "0 or more"),
        ("temperature", 0 < config.temperature < math.inf, "above 0: equal answers teach nothing"),
        ("policy_temperature", 0 < config.policy_temperature < math.inf, "above 0"),
        ("top_p", 0 < config.top_p <= 1, "above 0, at most 1"),
        ("max_new_tokens", config.max_new_tokens >= 1, "1 or more"),
        (
            "shared_prefix_tokens",
            config.shared_prefix_tokens is None or config.shared_prefix_tokens >= 1,
            "none, 1 or more",
        ),
        (
            "rollouts_per_step",
            config.rollouts_per_step >= config.group_size
            and config.rollouts_per_step % config.group_size == 0,
            f"a multiple of group_size, which is {config.group_size}",
        ),
    ]
    for name, good, allowed in rules:
        if not good:
            raise UserError(f"{name} is {getattr(config, name)}; allowed: {allowed}")
    if config.lora is not None and config.lora.dropout:
        raise UserError(
            f"lora.dropout is {config.lora.dropout}; allowed: 0: with dropout the policy that is "
            "learned from would not be the one that has answered"
        )
    if config.rewards is not None:
        check_rewards(config.rewards)
