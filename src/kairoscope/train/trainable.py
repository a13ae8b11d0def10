"""Which weights are trained: all, without the vision tower or the language model, or adapters."""

from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import inject_adapter_in_model
from peft.tuners.lora import LoraLayer

from kairoscope.config import SFTConfig
from kairoscope.core import UserError

LORA_TARGETS = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A network in training."""

    network: Any
    names: tuple[str, ...]
    """Names of the trained parameters, in the order of `parameters`."""
    parameters: tuple[torch.nn.Parameter, ...]
    optimizer: torch.optim.Optimizer


def prepare(network: Any, config: SFTConfig) -> Trained:
    """Freeze, add adapters, make the optimiser. The network is changed in place."""
    torch.manual_seed(config.seed)
    network.train()
    if config.gradient_checkpointing:
        network.activation_checkpointing_enable({"use_reentrant": False})
    if config.lora is not None:
        lora = PeftLoraConfig(
            r=config.lora.rank,
            lora_alpha=config.lora.alpha,
            lora_dropout=config.lora.dropout,
            target_modules=LORA_TARGETS,
        )
        inject_adapter_in_model(lora, network)
    else:
        network.requires_grad_(requires_grad=True)
        if config.freeze_vision:
            network.model.visual.requires_grad_(requires_grad=False)
        if config.freeze_language:
            network.model.language_model.requires_grad_(requires_grad=False)
            network.lm_head.requires_grad_(requires_grad=False)
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    if not named:
        raise UserError("nothing is left to train: vision tower and language model are frozen")
    parameters = tuple(p for _, p in named)
    decayed = [p for p in parameters if p.ndim >= 2]
    others = [p for p in parameters if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.epsilon,
    )
    return Trained(
        network=network,
        names=tuple(name for name, _ in named),
        parameters=parameters,
        optimizer=optimizer,
    )


def merged_weights(network: Any, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Weights by the names that transformers knows, adapters added to what they adapt."""
    layers: dict[str, Any] = {
        name: module for name, module in network.named_modules() if isinstance(module, LoraLayer)
    }
    weights: dict[str, torch.Tensor] = {}
    for key, value in network.state_dict().items():
        if ".lora_" in key:
            continue
        name, is_base, leaf = key.rpartition(".base_layer.")
        if is_base and leaf == "weight":
            value = value + layers[name].get_delta_weight("default")
        plain = f"{name}.{leaf}" if is_base else key
        weights[plain] = value.detach().to("cpu", dtype).contiguous()
    return weights
