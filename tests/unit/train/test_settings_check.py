"""Settings that no run can follow are refused by name."""

from dataclasses import replace
from typing import Any

import pytest

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import UserError
from kairoscope.train.check import check_config

WRONG: list[dict[str, Any]] = [
    {"batch_size": 0},
    {"micro_batch_size": 0},
    {"eval_every": 0},
    {"save_every": -1},
    {"keep_checkpoints": 0},
    {"epochs": 0.0},
    {"epochs": float("inf")},
    {"max_steps": 0},
    {"learning_rate": 0.0},
    {"learning_rate": float("nan")},
    {"min_learning_rate_ratio": 1.5},
    {"warmup_steps": -1},
    {"weight_decay": -0.1},
    {"betas": (0.9, 1.0)},
    {"epsilon": 0.0},
    {"max_grad_norm": 0.0},
    {"dense_weight": float("nan")},
]


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_wrong_settings(change: dict[str, Any]) -> None:
    [name] = change
    with pytest.raises(UserError, match=f"^{name} is .*; allowed: "):
        check_config(replace(SFTConfig(), **change))


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        (LoraConfig(rank=0), "lora.rank is 0"),
        (LoraConfig(alpha=0), "lora.alpha is 0"),
        (LoraConfig(dropout=1.0), "lora.dropout is 1.0"),
    ],
)
def test_wrong_adapters(lora: LoraConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_config(SFTConfig(lora=lora))


def test_defaults_are_fine() -> None:
    check_config(SFTConfig())
    check_config(SFTConfig(lora=LoraConfig(), max_steps=1, warmup_steps=0))
