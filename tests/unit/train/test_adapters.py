"""LoRA: nothing at the start, only the adapters move, and merged weights say the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from tiny_models import POLICY, encode_noise, make_checkpoint, plain_forward
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.models.checkpoint import load_checkpoint
from kairoscope.models.session import Session
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.clips import ClipStore
from kairoscope.train.examples import plain_example
from kairoscope.train.micro import micro_batches
from kairoscope.train.optimise import optimise
from kairoscope.train.state import TrainState, save_best
from kairoscope.train.trainable import merged_weights, prepare

CONFIG = SFTConfig(
    learning_rate=1e-2, warmup_steps=0, lora=LoraConfig(rank=4, alpha=8, dropout=0.2)
)


@pytest.fixture(params=["qwen2_5_vl", "qwen3_vl"])
def checkpoint(request: Any, tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer, request.param)


def logits_of(checkpoint: Any) -> torch.Tensor:
    checkpoint.network.eval()
    prompts = [encode_noise(checkpoint, 5, seed=i) for i in range(2)]
    return Session(checkpoint.network, checkpoint.encoder, prompts).last_BV


def train(checkpoint: Any, samples: Any, config: SFTConfig = CONFIG, steps: int = 3) -> Any:
    made = prepare(checkpoint.network, config)
    store = ClipStore(POLICY, checkpoint.encoder.geometry, dense=False)
    examples = [
        plain_example(checkpoint.encoder, TASK, s, store.get(s), POLICY) for s in samples[:2]
    ]
    geometry = checkpoint.encoder.geometry
    batch = micro_batches(examples, config.micro_batch_size, geometry)
    for _ in range(steps):
        optimise(made, geometry, batch, config, config.learning_rate)
    return made


def test_adapters_begin_as_the_base(checkpoint: Any) -> None:
    before = logits_of(checkpoint)
    made = prepare(checkpoint.network, CONFIG)
    layers = [m for m in checkpoint.network.modules() if isinstance(m, LoraLayer)]
    assert len(layers) == 2 * 7
    assert torch.equal(logits_of(checkpoint), before)
    assert all(".lora_" in name for name in made.names)
    assert len(made.names) == 2 * len(layers)


def test_only_adapters_move_and_merging_them_changes_nothing(
    checkpoint: Any, samples: Any, tokenizer: Any
) -> None:
    base = {n: p.detach().clone() for n, p in checkpoint.network.named_parameters()}
    before = logits_of(checkpoint)
    train(checkpoint, samples)
    after = logits_of(checkpoint)
    assert (after - before).abs().max() > 0.01
    for name, parameter in checkpoint.network.named_parameters():
        if ".lora_" not in name:
            assert torch.equal(parameter, base[name.replace(".base_layer", "")])
    merged = make_checkpoint(tokenizer, checkpoint.encoder.family, seed=5)
    merged.network.load_state_dict(merged_weights(checkpoint.network, torch.float32))
    torch.testing.assert_close(logits_of(merged), after, rtol=1e-4, atol=1e-4)


def test_the_best_checkpoint_is_merged_and_transformers_loads_it(
    tokenizer: Any, samples: Any, tmp_path: Path
) -> None:
    checkpoint = make_checkpoint(tokenizer)
    made = train(checkpoint, samples)
    after = logits_of(checkpoint)
    state = TrainState(step=3, best_step=3, best_score=12.5)
    save_best(tmp_path, made, checkpoint, POLICY, state, CONFIG)
    theirs = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path / "best")
    assert isinstance(theirs, Qwen2_5_VLForConditionalGeneration)
    prompts = [encode_noise(checkpoint, 5, seed=i) for i in range(2)]
    for row, logits in enumerate(plain_forward(theirs, prompts)):
        torch.testing.assert_close(after[row], logits[-1], rtol=1e-4, atol=1e-4)
    loaded = AutoTokenizer.from_pretrained(tmp_path / "best")
    assert loaded.encode("Event 1: <0.25>") == tokenizer.encode("Event 1: <0.25>")
    ours = load_checkpoint(tmp_path / "best", device="cpu")
    torch.testing.assert_close(logits_of(ours), after, rtol=1e-4, atol=1e-4)
    assert ours.policy == POLICY


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_best_checkpoint_may_be_smaller(
    tokenizer: Any, samples: Any, tmp_path: Path, dtype: Any
) -> None:
    checkpoint = make_checkpoint(tokenizer)
    config = replace(CONFIG, save_dtype=dtype)
    made = train(checkpoint, samples, config, steps=1)
    save_best(tmp_path, made, checkpoint, POLICY, TrainState(step=1), config)
    stored = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path / "best", dtype="auto")
    assert {p.dtype for p in stored.parameters()} == {getattr(torch, dtype)}
    ours = load_checkpoint(tmp_path / "best", device="cpu")
    assert {p.dtype for p in ours.network.parameters()} == {torch.float32}
    apart = (logits_of(ours) - logits_of(checkpoint)).abs().max()
    assert 0 < apart < 0.05 * logits_of(checkpoint).abs().max()
