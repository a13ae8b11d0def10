"""Attention of the language model, with several samples in one sequence where borders are given.

Without borders it is `transformers`' own SDPA path, masks and key-value cache included.
"""

from typing import Any

import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kairoscope.models.variable_length import attend_segments

NAME = "kairoscope_packed"


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    *,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each sample of a packed sequence.

    Args:
        module: the attention layer.
        query: (batch, heads, tokens, head_dim); batch 1 where borders are given.
        key: (batch, groups, tokens, head_dim).
        value: see `key`.
        attention_mask: as `transformers` makes it; unused with borders.
        dropout: 0 in the architectures that are supported; refused with borders otherwise.
        scaling: factor on the scores.
        cu_seq_lens_q: (samples + 1,) borders of the samples in tokens, or None.
        max_length_q: tokens of the longest sample.
        rest: what `transformers` hands on.

    Returns:
        (batch, tokens, heads, head_dim) and None in place of weights.
    """
    if cu_seq_lens_q is None:
        mixed, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
        return mixed, None
    if dropout:
        raise ValueError("packed sequences have no attention dropout")
    factor = query.shape[-1] ** -0.5 if scaling is None else scaling
    out = attend_segments(
        query, key, value, cu_seq_lens_q, scaling=factor, causal=True, longest=max_length_q
    )
    return out, None


ALL_ATTENTION_FUNCTIONS.register(NAME, packed_attention)
ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
