"""Attention for rehearsals: no result, but the memory that the kernels of a real step keep."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kairoscope.models import variable_length

WINDOWS, LANGUAGE = "kairoscope_flash_rehearsed", "kairoscope_rehearsed"
"""Attention that keeps what a GPU's kernels keep, in the vision tower and in the language model."""
TRACED = "kairoscope_flash_traced"
"""Attention that is one kernel to whoever traces it."""


class _Flash(torch.autograd.Function):
    """Keeps queries, keys, values, result and one number a row, as flash attention does."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any) -> Any:
        out = torch.empty_like(query)
        rows = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, out, rows)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        query, key, value, _, _ = ctx.saved_tensors
        del grad
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


@contextmanager
def kept_attention() -> Iterator[None]:
    """Within it torch's own attention is one that keeps what a kernel keeps.

    Without values torch would choose no kernel, and make every score.
    """
    before = functional.scaled_dot_product_attention

    def keep(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> Any:
        return _kept(query, key, value)

    places: tuple[Any, ...] = (functional, variable_length)
    for module in places:
        module.scaled_dot_product_attention = keep
    try:
        yield
    finally:
        for module in places:
            module.scaled_dot_product_attention = before


def _kept(query: Any, key: Any, value: Any) -> Any:
    if torch.is_autocast_enabled(query.device.type):
        half = torch.get_autocast_dtype(query.device.type)
        query, key, value = (x.to(half) for x in (query, key, value))
    return _Flash.apply(query, key, value)  # type: ignore[no-untyped-call]


def _flash(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **_: Any
) -> tuple[Any, None]:
    del module, attention_mask
    return _kept(query, key, value).transpose(1, 2).contiguous(), None


def _traced(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **_: Any
) -> tuple[Any, None]:
    del module, attention_mask
    if torch.is_autocast_enabled(query.device.type):
        half = torch.get_autocast_dtype(query.device.type)
        query, key, value = (x.to(half) for x in (query, key, value))
    flash = torch.ops.aten._scaled_dot_product_flash_attention
    out = flash(query, key, value, is_causal=True)[0]
    return out.transpose(1, 2), None


def rehearse_kernels(network: Any) -> None:
    """Let the network's attention take the memory that a GPU's kernels take."""
    network.model.visual.config._attn_implementation = WINDOWS
    network.model.language_model.config._attn_implementation = LANGUAGE


@contextmanager
def traceable_attention(network: Any) -> Iterator[None]:
    """Within it attention is one kernel to whoever traces it."""
    configs = (network.model.visual.config, network.model.language_model.config)
    before = [config._attn_implementation for config in configs]
    for config in configs:
        config._attn_implementation = TRACED
    try:
        yield
    finally:
        for config, name in zip(configs, before, strict=True):
            config._attn_implementation = name


for _name, _attention in ((WINDOWS, _flash), (LANGUAGE, _flash), (TRACED, _traced)):
    ALL_ATTENTION_FUNCTIONS.register(_name, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(_name, sdpa_mask)
