"""Attention inside the windows of a vision tower: a few batched calls instead of thousands.

`transformers` runs one small call for every window on its SDPA path. Windows of equal length are
one batch here; results are the same to rounding. Registered under a name that contains `flash`,
because that is how `transformers` decides to hand over all windows at once (`cu_seq_lens`).
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "kairoscope_flash_windows"


def window_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    *,
    cu_seq_lens_q: torch.Tensor,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Full attention within each window.

    Args:
        module: unused; part of the interface.
        query: (1, heads, tokens, head_dim), as are `key` and `value`.
        key: see `query`.
        value: see `query`.
        attention_mask: unused; the windows are the mask.
        scaling: factor on the scores.
        cu_seq_lens_q: (num_windows + 1,) borders of the windows in tokens.

    Returns:
        (1, tokens, heads, head_dim) and None in place of weights.
    """
    del module, attention_mask
    lengths = (cu_seq_lens_q[1:] - cu_seq_lens_q[:-1]).cpu()
    starts = cu_seq_lens_q[:-1].cpu()
    out = torch.empty_like(query)
    for length in sorted(set(lengths.tolist())):
        if length == 0:
            continue
        first = starts[lengths == length]
        if len(first) * length == query.shape[2]:
            out = _batched(query, key, value, int(length), scaling)
            break
        index = (first[:, None] + torch.arange(length)).flatten().to(query.device)
        q, k, v = (x.index_select(2, index) for x in (query, key, value))
        part = _batched(q, k, v, int(length), scaling)
        out = out.index_copy(2, index, part)
    return out.transpose(1, 2), None


def _batched(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length: int, scaling: float
) -> torch.Tensor:
    heads, tokens, head_dim = query.shape[1:]
    shape = (heads, tokens // length, length, head_dim)
    q, k, v = (x[0].reshape(shape).transpose(0, 1) for x in (query, key, value))
    mixed = scaled_dot_product_attention(q, k, v, scale=scaling)
    return mixed.transpose(0, 1).reshape(1, heads, tokens, head_dim)


ALL_ATTENTION_FUNCTIONS.register(NAME, window_attention)
