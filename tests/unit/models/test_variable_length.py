"""Sequences one behind the other attend as they do by themselves."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from kairoscope.models.packed_attention import packed_attention
from kairoscope.models.variable_length import attend_segments


def tensors(lengths: list[int], groups: int, seed: int, dtype: torch.dtype = torch.float64) -> Any:
    generator = torch.Generator().manual_seed(seed)
    tokens = sum(lengths)
    shapes = [(1, 4, tokens, 8), (1, groups, tokens, 8), (1, groups, tokens, 8)]
    made = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    return [x.requires_grad_() for x in made], torch.tensor([0, *lengths]).cumsum(0)


def masked(q: Any, k: Any, v: Any, borders: torch.Tensor, *, causal: bool) -> torch.Tensor:
    """One call with a block-diagonal mask."""
    owner = torch.bucketize(torch.arange(q.shape[2]), borders[1:], right=True)
    mask = owner[:, None] == owner[None, :]
    if causal:
        mask = mask.tril()
    k, v = (x.repeat_interleave(4 // x.shape[1], dim=1) for x in (k, v))
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.4).transpose(1, 2)


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=9).filter(any),
    groups=st.sampled_from([1, 2, 4]),
    causal=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_segments_are_what_a_block_diagonal_mask_gives(
    *, lengths: list[int], groups: int, causal: bool, seed: int
) -> None:
    inputs, borders = tensors(lengths, groups, seed)
    q, k, v = inputs
    ours = attend_segments(q, k, v, borders, scaling=0.4, causal=causal)
    reference = masked(q, k, v, borders, causal=causal)
    torch.testing.assert_close(ours, reference)
    weight = torch.randn(reference.shape, generator=torch.Generator().manual_seed(1)).double()
    mine = torch.autograd.grad((ours * weight).sum(), inputs)
    others = torch.autograd.grad((reference * weight).sum(), inputs)
    for one, other in zip(mine, others, strict=True):
        torch.testing.assert_close(one, other)


def test_without_borders_masks_and_groups_are_those_of_transformers() -> None:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    (q, k, v), _ = tensors([7], 2, 0)
    module: Any = torch.nn.Identity()
    module.num_key_value_groups = 2
    mask = torch.rand((1, 1, 7, 7), generator=torch.Generator().manual_seed(0)) > 0.3
    mask |= torch.eye(7, dtype=torch.bool)
    for given_mask in (mask, None):
        ours, _ = packed_attention(module, q, k, v, given_mask, scaling=0.4)
        theirs, _ = sdpa_attention_forward(module, q, k, v, given_mask, scaling=0.4)
        assert torch.equal(ours, theirs)


def test_dropout_is_not_left_out_in_silence() -> None:
    (q, k, v), borders = tensors([3, 4], 4, 0)
    with pytest.raises(ValueError, match="dropout"):
        packed_attention(torch.nn.Identity(), q, k, v, None, dropout=0.1, cu_seq_lens_q=borders)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("causal", [False, True])
def test_the_gpu_kernel_gives_the_same(*, causal: bool) -> None:
    lengths = [5, 64, 1, 130]
    inputs, borders = tensors(lengths, 2, 0, torch.float32)
    q, k, v = inputs
    reference = masked(q, k, v, borders, causal=causal)
    half = [x.detach().cuda().bfloat16().requires_grad_() for x in inputs]
    q, k, v = half
    ours = attend_segments(q, k, v, borders.cuda(), scaling=0.4, causal=causal, longest=130)
    assert (ours.float().cpu() - reference).abs().max() < 0.03
    reference.sum().backward()  # type: ignore[no-untyped-call]
    ours.sum().backward()  # type: ignore[no-untyped-call]
    for mine, theirs in zip(half, inputs, strict=True):
        assert mine.grad is not None
        assert (mine.grad.float().cpu() - theirs.grad).abs().max() < 0.1
