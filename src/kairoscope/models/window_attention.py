"""Attention inside the windows of a vision tower: one call, or a few, instead of thousands.

`transformers` runs one small call for every window on its SDPA path; results are the same to
rounding. Registered under a name that contains `flash`, because that is how `transformers` decides
to hand over all windows at once (`cu_seq_lens`).
"""

from typing import Any

import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kairoscope.models.variable_length import attend_segments

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
    max_length_q: int | None = None,
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
        max_length_q: tokens of the longest window.

    Returns:
        (1, tokens, heads, head_dim) and None in place of weights.
    """
    del module, attention_mask
    longest = None if max_length_q is None else int(max_length_q)
    out = attend_segments(
        query, key, value, cu_seq_lens_q, scaling=scaling, causal=False, longest=longest
    )
    return out, None


ALL_ATTENTION_FUNCTIONS.register(NAME, window_attention)
