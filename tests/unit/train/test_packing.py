"""Samples that share a sequence are trained on as if each had its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import POLICY, encode_noise, make_checkpoint

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.models.forward import look, read
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.clips import ClipStore
from kairoscope.train.examples import Example, plain_example
from kairoscope.train.micro import micro_batch, micro_batches, packs
from kairoscope.train.optimise import forward_losses, optimise
from kairoscope.train.sft import sft
from kairoscope.train.trainable import prepare

CONFIG = SFTConfig(batch_size=5, micro_batch_size=5, warmup_steps=0, dense_weight=0.5)
ADAPTERS = LoraConfig(rank=2, alpha=4)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def family(request: Any) -> Any:
    return request.param


@pytest.fixture(scope="module")
def examples(tokenizer: Any, family: Any, samples: Any) -> list[Example]:
    """Of four lengths, with one, two or three events."""
    encoder = make_checkpoint(tokenizer, family).encoder
    store = ClipStore(POLICY, encoder.geometry, dense=False)
    return [plain_example(encoder, TASK, s, store.get(s), POLICY) for s in samples[:5]]


def trained(
    tokenizer: Any, family: Any, examples: Sequence[Example], config: SFTConfig, steps: int
) -> tuple[Any, list[dict[str, float]], dict[str, torch.Tensor]]:
    checkpoint = make_checkpoint(tokenizer, family)
    made = prepare(checkpoint.network, config)
    if config.lora is not None:  # at step 0 an adapter's first half has no gradient
        for name, parameter in zip(made.names, made.parameters, strict=True):
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1, generator=torch.manual_seed(1))
    start = {n: p.detach().clone() for n, p in zip(made.names, made.parameters, strict=True)}
    geometry = checkpoint.encoder.geometry
    pack_tokens = config.pack_tokens if config.packing else None
    batch = micro_batches(examples, config.micro_batch_size, geometry, pack_tokens)
    rows = [optimise(made, geometry, batch, config, 1e-3) for _ in range(steps)]
    moved = {n: p.detach() - start[n] for n, p in zip(made.names, made.parameters, strict=True)}
    return batch, rows, moved


@pytest.mark.parametrize("lora", [None, ADAPTERS], ids=["full", "adapters"])
def test_packing_changes_no_loss_and_no_step(
    tokenizer: Any, family: Any, examples: Any, lora: Any
) -> None:
    config = replace(CONFIG, lora=lora)
    rows_batch, rows, moved = trained(tokenizer, family, examples, config, 2)
    tokens = sum(e.num_tokens for e in examples)
    for pack_tokens, num_packs in ((tokens, 1), (tokens * 2 // 3, 2)):
        packing = replace(config, packing=True, pack_tokens=pack_tokens)
        batch, others, also_moved = trained(tokenizer, family, examples, packing, 2)
        assert [len(micro.ids_BL) for micro in batch] == [1] * num_packs
        assert sum(m.ids_BL.numel() for m in batch) == tokens < rows_batch[0].ids_BL.numel()
        for a, b in zip(rows, others, strict=True):
            assert a == pytest.approx(b, rel=1e-3)
        # Adam turns tiny gradients into steps of full size: compared with the size of all steps.
        apart = torch.cat([(moved[n] - also_moved[n]).flatten() for n in moved])
        together = torch.cat([m.flatten() for m in moved.values()])
        assert together.norm() > 0.01
        assert apart.norm() < 0.02 * together.norm()


def test_gradients_are_those_of_the_samples_by_themselves(
    tokenizer: Any, family: Any, examples: Any
) -> None:
    def gradients(batches: Sequence[Sequence[Example]]) -> dict[str, torch.Tensor]:
        checkpoint = make_checkpoint(tokenizer, family)
        geometry = checkpoint.encoder.geometry
        for batch in batches:
            micro = micro_batch(batch, geometry, packed=True)
            answer, dense = forward_losses(checkpoint.network, geometry, micro)
            (answer + 0.3 * dense).backward()  # type: ignore[no-untyped-call]
        named = checkpoint.network.named_parameters()
        return {name: p.grad for name, p in named if p.grad is not None}

    packed, alone = gradients([examples]), gradients([[e] for e in examples])
    assert packed.keys() == alone.keys()
    for name, value in packed.items():
        scale = max(alone[name].abs().max().item(), 1e-5)
        assert (value - alone[name]).abs().max().item() <= 1e-3 * scale, name


def test_a_sample_sees_nothing_of_its_neighbours(tokenizer: Any, family: Any) -> None:
    checkpoint = make_checkpoint(tokenizer, family)
    geometry = checkpoint.encoder.geometry

    def second_after(seed: int) -> torch.Tensor:
        pair = [encode_noise(checkpoint, 6, seed=seed), encode_noise(checkpoint, 4, seed=7)]
        packed = [Example(encoded=e, answer_ids=(50, 60), dense=()) for e in pair]
        micro = micro_batch(packed, geometry, packed=True)
        assert micro.lengths == tuple(e.num_tokens for e in packed)
        second = micro.positions_3BL[:, 0, micro.lengths[0] :]
        assert torch.equal(second[:, : len(pair[1].token_ids)], pair[1].positions_3L)
        seen = look(checkpoint.network, micro.films, geometry)
        hidden = read(checkpoint.network, micro.ids_BL, micro.positions_3BL, seen, micro.lengths)
        return hidden[0, micro.lengths[0] :]

    with torch.no_grad():
        torch.testing.assert_close(second_after(1), second_after(2), rtol=1e-4, atol=1e-4)


def test_features_and_places_must_agree(tokenizer: Any) -> None:
    """Cutting tokens without their features would move every feature after them."""
    checkpoint = make_checkpoint(tokenizer)
    one = Example(encoded=encode_noise(checkpoint), answer_ids=(50,), dense=())
    micro = micro_batch([one], checkpoint.encoder.geometry)
    seen = look(checkpoint.network, micro.films, checkpoint.encoder.geometry)
    with pytest.raises(ValueError, match="vision tokens for"):
        read(checkpoint.network, micro.ids_BL[:, :-150], micro.positions_3BL[..., :-150], seen)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 80))
def test_every_sample_is_in_one_pack_that_is_not_too_long(lengths: list[int], most: int) -> None:
    made = packs(lengths, most)
    assert sorted(index for pack in made for index in pack) == list(range(len(lengths)))
    for pack in made:
        assert pack == sorted(pack)
        assert sum(lengths[i] for i in pack) <= most or len(pack) == 1
    assert made == packs(list(lengths), most)
    lightest = sorted(sum(lengths[i] for i in pack) for pack in made)[:2]
    assert len(made) < 2 or sum(lightest) > most  # no two packs could have been one


def test_a_packed_run_goes_on_exactly(tokenizer: Any, samples: Any, tmp_path: Path) -> None:
    config = SFTConfig(
        epochs=50, max_steps=4, batch_size=4, schedule="constant", warmup_steps=0, seed=3,
        packing=True, pack_tokens=700, augment=True, eval_every=9, save_every=1,
        lora=LoraConfig(rank=2, alpha=4, dropout=0.3),
    )  # fmt: skip

    def run(out: Path, max_steps: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        sft(
            make_checkpoint(tokenizer),
            TASK,
            samples[:5],
            [],
            policy=POLICY,
            config=replace(config, max_steps=max_steps),
            out=out,
            log=rows.append,
        )
        told = ("kind", "step", "loss", "grad_norm", "tokens")
        return [{key: row.get(key) for key in told} for row in rows]

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        straight = run(tmp_path / "straight", 4)
        parts = run(tmp_path / "parts", 2) + run(tmp_path / "parts", 4)
    finally:
        torch.set_num_threads(before)
    assert [r for r in parts if r["kind"] == "step"] == [r for r in straight if r["kind"] == "step"]
    files = [tmp_path / name / "best" / "model.safetensors" for name in ("straight", "parts")]
    assert files[0].read_bytes() == files[1].read_bytes()
