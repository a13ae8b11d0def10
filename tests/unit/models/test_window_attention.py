"""The batched windows give what transformers' loop over windows gives, forward and backward."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import encode_noise as noise
from tiny_models import make_checkpoint, unfolded
from torch.nn.functional import scaled_dot_product_attention

from kairoscope.models.window_attention import window_attention


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_each_window_attends_to_itself_alone(lengths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (3, 1, 2, sum(lengths), 8)
    inputs = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    borders = torch.tensor([0, *lengths]).cumsum(0)
    query, key, value = inputs
    ours, _ = window_attention(
        torch.nn.Identity(), query, key, value, None, 0.3, cu_seq_lens_q=borders, is_causal=False
    )
    parts = [
        scaled_dot_product_attention(query[:, :, a:b], key[:, :, a:b], value[:, :, a:b], scale=0.3)
        for a, b in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)
        if b > a
    ]
    reference = torch.cat(parts, dim=2).transpose(1, 2)
    torch.testing.assert_close(ours, reference)
    weight = torch.randn(reference.shape, generator=generator, dtype=torch.float64)
    (mine,) = torch.autograd.grad((ours * weight).sum(), inputs)
    (other,) = torch.autograd.grad((reference * weight).sum(), inputs)
    torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("grids", [[(8, 8)], [(4, 4), (4, 4)], [(5, 7)], [(3, 2), (5, 9), (1, 1)]])
def test_a_vision_tower_is_the_same_with_both(
    tokenizer: Any, family: Any, grids: list[tuple[int, int]]
) -> None:
    """Grids in vision tokens: windows of Qwen2.5-VL are 4 x 4 of them, its last block sees all."""
    towers = [make_checkpoint(tokenizer, family, windows=w) for w in (True, False)]
    prompts = [noise(towers[0], 4, units=units, seed=i) for i, units in enumerate(grids)]
    pixels = torch.cat([unfolded(prompt, family) for prompt in prompts])
    grid = torch.tensor([prompt.grid_thw for prompt in prompts])
    results = []
    for tower in towers:
        visual = tower.network.model.visual
        leaf = pixels.clone().requires_grad_()
        out = visual(leaf, grid_thw=grid).pooler_output
        out.pow(2).sum().backward()
        gradients = [p.grad for p in visual.parameters() if p.grad is not None]
        assert len(gradients) > 10
        results.append([out, leaf.grad, *gradients])
    for ours, theirs in zip(*results, strict=True):
        scale = theirs.abs().max()
        assert (ours - theirs).abs().max() <= 2e-4 * scale


def test_the_windows_are_really_taken(tokenizer: Any) -> None:
    implementations = [
        make_checkpoint(tokenizer, windows=w).network.model.visual.config._attn_implementation
        for w in (True, False)
    ]
    assert implementations == ["kairoscope_flash_windows", "sdpa"]
