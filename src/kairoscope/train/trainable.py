"""Which weights are trained: all, without the vision tower or the language model, or adapters."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import inject_adapter_in_model
from peft.tuners.lora import LoraLayer

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import UserError
from kairoscope.train.average import WeightAverage
from kairoscope.train.group import ALONE, Group
from kairoscope.train.parts import parameter_groups
from kairoscope.train.sharding import Sharded, shard
from kairoscope.train.speed import (
    checkpoint_activations,
    compile_layers,
    hold_frozen_in_bfloat16,
    quicken,
)

R = TypeVar("R")

LORA_TARGETS = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A network in training."""

    network: Any
    names: tuple[str, ...]
    """Names of the trained parameters, in the order of `parameters`."""
    parameters: tuple[torch.nn.Parameter, ...]
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None = None
    """Of `parameters`, where there is one."""
    sharded: Sharded | None = None
    """Where the network's weights are shared out among processes."""

    def run(self, work: Callable[[Any], R]) -> R:
        """What `work` makes of the network, with the weights it needs put together as it goes."""
        return self.sharded.run(work) if self.sharded else work(self.network)

    def whole(self) -> AbstractContextManager[Any]:
        """The network as one that is not shared out, to be evaluated or saved. A collective call."""
        return self.sharded.whole() if self.sharded else nullcontext(self.network)

    def follow(self, step: int) -> None:
        """Let the average, if there is one, follow the weights after optimiser step `step`."""
        if self.average:
            self.average.update(step)

    def best_weights(self) -> AbstractContextManager[None]:
        """Within it the network has the weights to judge and to save: the average, if there is one."""
        return self.average.in_place_of_weights() if self.average else nullcontext()


def prepare(network: Any, config: SFTConfig, group: Group = ALONE) -> Trained:
    """Freeze, add adapters, share out, make the optimiser. The network is changed in place."""
    torch.manual_seed(config.seed)
    network.train()
    if config.gradient_checkpointing:
        checkpoint_activations(network)
    _choose_trained(network, config)
    quicken(network)
    if config.dtype == "bfloat16":
        hold_frozen_in_bfloat16(network)
    sharded = None
    if group.size > 1:
        # What is drawn from here on, as for dropout, is each process's own.
        torch.manual_seed(config.seed + group.rank)
        if config.parallel != "ddp":
            sharded = shard(network, config.parallel, group)
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    parameters = tuple(p for _, p in named)
    if config.compile:
        compile_layers(network, config.kept_activations)
    optimizer = torch.optim.AdamW(
        parameter_groups(named, config),
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.epsilon,
        # One pass over everything, and no temporary memory of the size of the weights.
        fused=parameters[0].is_cuda or None,
    )
    return Trained(
        network=network,
        names=tuple(name for name, _ in named),
        parameters=parameters,
        optimizer=optimizer,
        sharded=sharded,
        average=WeightAverage(parameters, decay=config.ema_decay, every=config.ema_every)
        if config.ema_decay
        else None,
    )


def _choose_trained(network: Any, config: SFTConfig) -> None:
    """Adapters alone, or all but what is frozen. Raises UserError where that is nothing."""
    if config.lora is not None:
        inject_adapter_in_model(adapter_settings(config.lora), network)
    else:
        network.requires_grad_(requires_grad=True)
        if config.freeze_vision:
            network.model.visual.requires_grad_(requires_grad=False)
        if config.freeze_language:
            network.model.language_model.requires_grad_(requires_grad=False)
            network.lm_head.requires_grad_(requires_grad=False)
    if not any(p.requires_grad for p in network.parameters()):
        raise UserError("nothing is left to train: vision tower and language model are frozen")


def adapter_settings(lora: LoraConfig) -> PeftLoraConfig:
    """What peft calls these adapters."""
    return PeftLoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=LORA_TARGETS,
    )


def adapter_weights(network: Any) -> dict[str, torch.Tensor]:
    """Weights of the adapters alone, by their names in the network."""
    return {name: p for name, p in network.named_parameters() if ".lora_" in name}


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
