"""Attention among sequences that lie one behind the other, each seeing itself alone.

On a GPU one kernel for all of them: flash-attn's where it is installed, else torch's own
(`torch.nn.attention.varlen`). Elsewhere, and in float32, sequences of equal length share a call.
"""

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

Kernel = Callable[..., torch.Tensor]
HALF = (torch.bfloat16, torch.float16)
MOST_HEAD_DIM = 256
FEW_SEGMENTS = 64


def attend_segments(
    query_1HLD: torch.Tensor,
    key_1GLD: torch.Tensor,
    value_1GLD: torch.Tensor,
    borders: torch.Tensor,
    *,
    scaling: float,
    causal: bool,
    longest: int | None = None,
) -> torch.Tensor:
    """Attention within each segment.

    Args:
        query_1HLD: (1, heads, tokens, head_dim).
        key_1GLD: (1, groups, tokens, head_dim); `groups` divides `heads`.
        value_1GLD: see `key_1GLD`.
        borders: (segments + 1,) ascending, from 0 to the number of tokens.
        scaling: factor on the scores.
        causal: whether a token sees no later one.
        longest: tokens of the longest segment, where that is known: reading it from the borders
            waits for the GPU.

    Returns:
        (1, tokens, heads, head_dim).
    """
    if query_1HLD.is_cuda and torch.is_autocast_enabled("cuda"):
        half = torch.get_autocast_dtype("cuda")
        query_1HLD, key_1GLD, value_1GLD = (x.to(half) for x in (query_1HLD, key_1GLD, value_1GLD))
    if GPU_KERNEL is not None and _fits_kernel(query_1HLD):
        most = int((borders[1:] - borders[:-1]).max()) if longest is None else longest
        q, k, v = (x[0].transpose(0, 1) for x in (query_1HLD, key_1GLD, value_1GLD))
        return GPU_KERNEL(q, k, v, borders.to(q.device, torch.int32), most, scaling, causal=causal)[
            None
        ]
    return _by_length(query_1HLD, key_1GLD, value_1GLD, borders, scaling, causal)


def _fits_kernel(query: torch.Tensor) -> bool:
    head_dim = query.shape[-1]
    return query.is_cuda and query.dtype in HALF and head_dim % 8 == 0 and head_dim <= MOST_HEAD_DIM


def _flash_attn() -> Kernel | None:
    try:
        from flash_attn import flash_attn_varlen_func  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None

    def kernel(
        q: Any, k: Any, v: Any, borders: Any, most: int, scaling: float, *, causal: bool
    ) -> Any:
        return flash_attn_varlen_func(
            q, k, v, borders, borders, most, most, softmax_scale=scaling, causal=causal
        )

    return kernel


def _torch_kernel() -> Kernel | None:
    """torch 2.10 takes `is_causal` and its own scaling, 2.11 a window, later ones groups as well."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    known = inspect.signature(varlen_attn).parameters
    scales, windows, groups = (name in known for name in ("scale", "window_size", "enable_gqa"))

    def kernel(
        q: Any, k: Any, v: Any, borders: Any, most: int, scaling: float, *, causal: bool
    ) -> Any:
        options: dict[str, Any] = {"scale": scaling} if scales else {}
        if not scales:
            q = q * (scaling * q.shape[-1] ** 0.5)
        if windows:
            options["window_size"] = (-1, 0) if causal else (-1, -1)
        else:
            options["is_causal"] = causal
        if groups:
            options["enable_gqa"] = q.shape[1] != k.shape[1]
        elif q.shape[1] != k.shape[1]:
            k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
        return varlen_attn(q, k, v, borders, borders, most, most, **options)

    return kernel


GPU_KERNEL: Kernel | None = _flash_attn() or _torch_kernel()
"""(query_LHD, key, value, borders, longest, scaling, causal=) -> (L, H, D), where there is one."""


def _by_length(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    borders: torch.Tensor,
    scaling: float,
    causal: bool,  # noqa: FBT001
) -> torch.Tensor:
    """One batched call for each length that occurs."""
    if causal and len(borders) <= FEW_SEGMENTS:
        return _one_by_one(query, key, value, borders.tolist(), scaling)
    lengths = (borders[1:] - borders[:-1]).cpu()
    starts = borders[:-1].cpu()
    out = torch.empty_like(query)
    for length in sorted(set(lengths.tolist())):
        if length == 0:
            continue
        first = starts[lengths == length]
        if len(first) * length == query.shape[2]:
            out = _batched(query, key, value, int(length), scaling, causal)
            break
        index = (first[:, None] + torch.arange(length)).flatten().to(query.device)
        q, k, v = (x.index_select(2, index) for x in (query, key, value))
        part = _batched(q, k, v, int(length), scaling, causal)
        out = out.index_copy(2, index, part)
    return out.transpose(1, 2)


def _one_by_one(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, borders: list[int], scaling: float
) -> torch.Tensor:
    """A call for each segment, nothing copied: packed samples are few and long."""
    grouped = query.shape[1] != key.shape[1]
    parts = []
    for first, end in itertools.pairwise(borders):
        if end > first:
            q, k, v = (x[:, :, first:end] for x in (query, key, value))
            parts.append(
                scaled_dot_product_attention(
                    q, k, v, scale=scaling, is_causal=True, enable_gqa=grouped
                )
            )
    return torch.cat(parts, dim=2).transpose(1, 2)


def _batched(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    length: int,
    scaling: float,
    causal: bool,  # noqa: FBT001
) -> torch.Tensor:
    q, k, v = (
        x[0].reshape(x.shape[1], -1, length, x.shape[3]).transpose(0, 1)
        for x in (query, key, value)
    )
    mixed = scaled_dot_product_attention(
        q, k, v, scale=scaling, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1]
    )
    return mixed.transpose(0, 1).reshape(query.shape)
