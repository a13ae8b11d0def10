"""The parts of a network that may learn at rates of their own: vision tower, projector, language model."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from kairoscope.config import SFTConfig

Part = Literal["vision", "projector", "language"]
PARTS: tuple[Part, ...] = ("vision", "projector", "language")


def part_of(name: str) -> Part:
    """The part that a parameter belongs to, by its name in transformers.

    The projector is the merger that makes vision tokens of patches, with the mergers of the deeper
    layers in Qwen3-VL.
    """
    if "visual." not in name:
        return "language"
    inside = name.partition("visual.")[2]
    return "projector" if inside.startswith(("merger.", "deepstack_merger_list.")) else "vision"


def rate_scale(config: SFTConfig, part: Part) -> float:
    """What the schedule's rate is multiplied with for a part."""
    own = {
        "vision": config.vision_learning_rate,
        "projector": config.projector_learning_rate,
        "language": None,
    }[part]
    return 1.0 if own is None else own / config.learning_rate


def parameter_groups(
    named: Sequence[tuple[str, torch.nn.Parameter]], config: SFTConfig
) -> list[dict[str, Any]]:
    """Groups for the optimiser, one for each rate and weight decay that is needed.

    Each has `rate_scale`, with which `optimise` multiplies the rate of the step. Weight decay acts on
    matrices alone. Parameters keep their order within a group.
    """
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in named:
        decay = config.weight_decay if parameter.ndim >= 2 else 0.0
        key = (rate_scale(config, part_of(name)), decay)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "rate_scale": scale}
        for (scale, decay), parameters in groups.items()
    ]
