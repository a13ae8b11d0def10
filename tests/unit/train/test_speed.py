"""What is faster gives the same."""

from typing import Any

import pytest
import torch
from tiny_models import encode_noise, make_checkpoint

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.models.chat import films
from kairoscope.models.forward import look
from kairoscope.train.speed import hold_frozen_in_bfloat16
from kairoscope.train.trainable import merged_weights, prepare

CONFIG = SFTConfig(lora=LoraConfig(rank=3, alpha=6))


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_a_frozen_tower_never_runs_backwards(tokenizer: Any, family: Any) -> None:
    checkpoint = make_checkpoint(tokenizer, family)
    prepare(checkpoint.network, SFTConfig(freeze_vision=True, gradient_checkpointing=True))
    geometry = checkpoint.encoder.geometry
    seen = look(checkpoint.network, films([encode_noise(checkpoint)], geometry), geometry)
    assert not seen.features_ND.requires_grad
    assert not any(layer.requires_grad for layer in seen.deep_KND)
    assert checkpoint.network.model.language_model.layers[0].gradient_checkpointing


def test_adapters_are_those_of_peft(tokenizer: Any) -> None:
    network = make_checkpoint(tokenizer).network
    prepare(network, CONFIG)
    layer = network.model.language_model.layers[0].mlp.down_proj
    torch.nn.init.normal_(layer.lora_B["default"].weight, generator=torch.manual_seed(0))
    x = torch.randn((2, 5, layer.in_features), generator=torch.manual_seed(1)).requires_grad_()
    watched = [x, layer.lora_A["default"].weight, layer.lora_B["default"].weight]
    ours, theirs = layer(x), type(layer).forward(layer, x)
    torch.testing.assert_close(ours, theirs)
    pairs = zip(
        *(torch.autograd.grad(y.pow(2).sum(), watched) for y in (ours, theirs)), strict=True
    )
    for one, other in pairs:
        torch.testing.assert_close(one, other)
    merged = merged_weights(network, torch.float32)
    name = "model.language_model.layers.0.mlp.down_proj.weight"
    torch.testing.assert_close(torch.nn.functional.linear(x, merged[name]), ours)


def test_frozen_weights_lose_nothing_in_bfloat16(tokenizer: Any) -> None:
    checkpoint = make_checkpoint(tokenizer)
    with torch.no_grad():
        for parameter in checkpoint.network.parameters():
            parameter.copy_(parameter.bfloat16())
    before = {n: p.clone() for n, p in checkpoint.network.named_parameters()}
    trained = prepare(checkpoint.network, SFTConfig(lora=CONFIG.lora, dtype="bfloat16"))
    kinds = {n: p.dtype for n, p in checkpoint.network.named_parameters()}
    assert {kinds[n] for n in trained.names} == {torch.float32}
    assert {d for n, d in kinds.items() if n not in trained.names} == {torch.bfloat16}
    after = merged_weights(checkpoint.network, torch.float32)
    assert all(torch.equal(after[name], value) for name, value in before.items() if name in after)


def test_frozen_weights_that_would_lose_something_stay(tokenizer: Any) -> None:
    network = make_checkpoint(tokenizer).network
    network.requires_grad_(requires_grad=False)
    assert hold_frozen_in_bfloat16(network) == 0
    assert {p.dtype for p in network.parameters()} == {torch.float32}
