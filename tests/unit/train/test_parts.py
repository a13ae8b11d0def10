"""Rates by part: every weight is in one group, and each group learns at its own rate."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_models import make_network

from kairoscope.config import SFTConfig
from kairoscope.train.parts import PARTS, parameter_groups, part_of, rate_scale

RATES = SFTConfig(learning_rate=1e-4, vision_learning_rate=1e-5, projector_learning_rate=3e-4)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_every_weight_has_its_part(tokenizer: Any, family: Any) -> None:
    network = make_network(tokenizer, family)
    modules = {
        "vision": (network.model.visual.blocks, network.model.visual.patch_embed),
        "projector": (network.model.visual.merger,),
        "language": (network.model.language_model, network.lm_head),
    }
    names = {id(p): name for name, p in network.named_parameters()}
    for part, found in modules.items():
        for module in found:
            assert {part_of(names[id(p)]) for p in module.parameters()} == {part}
    assert {part_of(name) for name, _ in network.named_parameters()} == set(PARTS)
    if family == "qwen3_vl":
        deep = [n for n, _ in network.named_parameters() if "deepstack" in n]
        assert deep
        assert {part_of(name) for name in deep} == {"projector"}


def test_groups_hold_everything_once_at_their_own_rate(tokenizer: Any) -> None:
    named = list(make_network(tokenizer).named_parameters())
    groups = parameter_groups(named, RATES)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for _, p in named)
    scales = {"vision": 0.1, "projector": 3.0, "language": 1.0}
    names = {id(p): name for name, p in named}
    for group in groups:
        for parameter in group["params"]:
            assert group["rate_scale"] == pytest.approx(scales[part_of(names[id(parameter)])])
            assert group["weight_decay"] == (0.01 if parameter.ndim >= 2 else 0)


def test_one_rate_for_all_makes_two_groups(tokenizer: Any) -> None:
    named = list(make_network(tokenizer).named_parameters())
    assert len(parameter_groups(named, SFTConfig())) == 2
    assert {rate_scale(SFTConfig(), part) for part in PARTS} == {1.0}


def test_a_step_moves_each_part_by_its_rate(tokenizer: Any) -> None:
    """Adam's first step is the rate times the gradient's sign, where nothing decays."""
    named = list(make_network(tokenizer).named_parameters())
    config = replace(RATES, weight_decay=0.0)
    before = {name: p.detach().clone() for name, p in named}
    optimizer = torch.optim.AdamW(parameter_groups(named, config), lr=1.0, eps=1e-30)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3 * group["rate_scale"]
    for _, parameter in named:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in named:
        moved = (before[name] - parameter.detach()).double().mean().item()
        assert moved == pytest.approx(1e-3 * rate_scale(config, part_of(name)), rel=1e-2)
