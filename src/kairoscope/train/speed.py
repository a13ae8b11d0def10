"""What makes a step faster or smaller and changes its result by rounding at most."""

from types import MethodType
from typing import Any

import torch
import torch._functorch.config as functorch_config
from peft.tuners.lora import LoraLayer
from torch.nn import functional

ADAPTER = "default"


def quicken(network: Any) -> None:
    """Replace the slow parts of a network in training, in place."""
    for module in network.modules():
        if isinstance(module, LoraLayer):
            changed: Any = module
            changed.forward = MethodType(_adapted, module)


def checkpoint_activations(network: Any) -> None:
    """Compute the activations of every layer again in the backward pass.

    transformers then asks for the gradient of every input, and so runs a frozen vision tower backwards,
    for nothing: what it needs that for is another kind of checkpointing.
    """
    enable = getattr(network, "activation_checkpointing_enable", None)
    if enable is not None:
        enable({"use_reentrant": False})
    else:
        network.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    if getattr(network, "_require_grads_hook", None) is not None:
        network.disable_input_require_grads()


def compile_layers(network: Any, kept_activations: float) -> None:
    """Let torch compile the layers, each by itself: those of a kind share what is compiled.

    The first step takes longer, and again the first of another length.
    """
    dynamo: Any = torch._dynamo.config
    dynamo.recompile_limit = max(dynamo.recompile_limit, 64)
    functorch_config.activation_memory_budget = kept_activations
    for layer in (*network.model.language_model.layers, *network.model.visual.blocks):
        layer.compile()


@torch.no_grad()
def hold_frozen_in_bfloat16(network: Any) -> int:
    """Keep the weights that are not trained in bfloat16 where that loses nothing.

    Published weights are bfloat16, and what is computed in bfloat16 casts them to it each time. A
    part (vision tower, language model) of which one weight is not exact in bfloat16 stays as it is.

    Returns:
        How many bytes that has freed.
    """
    freed = 0
    for part in (network.model.visual, network.model.language_model, network.lm_head):
        frozen = [p for p in part.parameters() if not p.requires_grad]
        wide = [p for p in frozen if p.dtype == torch.float32]
        if not all(p.is_meta or torch.equal(p.bfloat16().float(), p) for p in wide):
            continue
        for parameter in wide:
            parameter.data = parameter.data.bfloat16()
            freed += 2 * parameter.numel()
    return freed


def _adapted(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Base layer and adapter, added while the last product is computed.

    peft's own forward casts the input to the adapter's float32 first and scales and adds in passes
    of their own. It still runs where anything but the one adapter is switched on.
    """
    if layer.disable_adapters or layer.merged or layer.active_adapters != [ADAPTER]:
        plain: torch.Tensor = type(layer).forward(layer, x, *args, **kwargs)
        return plain
    base = layer.base_layer(x)
    small = functional.linear(
        layer.lora_dropout[ADAPTER](x), layer.lora_A[ADAPTER].weight.to(x.dtype)
    )
    up = (layer.lora_B[ADAPTER].weight * layer.scaling[ADAPTER]).to(base.dtype)
    flat = torch.addmm(base.flatten(0, -2), small.flatten(0, -2).to(base.dtype), up.T)
    return flat.view(base.shape)
