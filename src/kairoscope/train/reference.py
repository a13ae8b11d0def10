"""The policy that reinforcement learning is kept near: the weights as they were before the first step."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from peft.tuners.lora import LoraLayer

from kairoscope.config import GRPOConfig
from kairoscope.train.speed import hold_frozen_in_bfloat16


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """With adapters the network itself, these switched off; else a frozen copy."""

    network: Any
    is_copy: bool

    @contextmanager
    def as_it_was(self) -> Iterator[Any]:
        """Within it the network that is given has the weights from before the first step."""
        layers: list[Any] = [] if self.is_copy else _adapted_layers(self.network)
        # Not `enable_adapters`: it takes the adapters' gradients away and hands them back as new.
        for layer in layers:
            layer._disable_adapters = True
        try:
            yield self.network
        finally:
            for layer in layers:
                layer._disable_adapters = False

    @property
    def num_bytes(self) -> int:
        """Memory that it takes beside the trained network."""
        if not self.is_copy:
            return 0
        return sum(p.numel() * p.element_size() for p in self.network.parameters())


def reference_for(network: Any, config: GRPOConfig) -> Reference | None:
    """The reference of a run, before the network is prepared for training; None: none is needed."""
    if not config.kl_beta:
        return None
    if config.lora is not None:
        return Reference(network=network, is_copy=False)
    frozen = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
    if config.dtype == "bfloat16":
        hold_frozen_in_bfloat16(frozen)
    return Reference(network=frozen, is_copy=True)


def said_of(reference: Reference | None) -> str:
    """What a run says of its reference before it begins."""
    if reference is None:
        return "no reference policy: kl_beta is 0"
    if reference.is_copy:
        gib = reference.num_bytes / 2**30
        return f"reference policy: a frozen copy of the starting weights, {gib:.3g} GiB"
    return "reference policy: the network with its adapters off, no second model in memory"


def _adapted_layers(network: Any) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, LoraLayer)]
