"""Patches that do not overlap, on a GPU by a matrix product instead of a convolution."""

from types import MethodType
from typing import Any

import torch
from torch.nn.functional import linear


def use_patch_product(network: Any) -> None:
    """Let the vision tower embed its patches by a product where that is faster.

    The convolution's stride is its size; cuDNN has no fast path for that in bfloat16. On a CPU the
    convolution stays: it is as fast there.
    """
    embed = network.model.visual.patch_embed
    embed.forward = MethodType(_embedded, embed)


def _embedded(embed: Any, pixels: torch.Tensor) -> torch.Tensor:
    if not pixels.is_cuda:
        plain: torch.Tensor = type(embed).forward(embed, pixels)
        return plain
    return patch_product(embed.proj, pixels)


def patch_product(convolution: Any, pixels_NC: torch.Tensor) -> torch.Tensor:
    """What a convolution over patches gives, (N, width), for patches as rows."""
    weight = convolution.weight
    rows = pixels_NC.reshape(-1, weight[0].numel()).to(weight.dtype)
    return linear(rows, weight.flatten(1), convolution.bias)
