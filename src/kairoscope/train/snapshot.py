"""What a training state holds: whole tensors by name, the same for any number of processes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from kairoscope.core import UserError
from kairoscope.train.group import Group
from kairoscope.train.sharding import shared_like, whole
from kairoscope.train.trainable import Trained

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
RANDOM = ("rng", "cuda_rng")


def gathered(trained: Trained, group: Group) -> dict[str, torch.Tensor]:
    """Weights, moments, their average and every process's randomness. A collective call.

    Returns:
        Whole tensors on the first process, nothing on the others.
    """
    tensors: dict[str, torch.Tensor] = {}
    for key, value in _live(trained):
        full = whole(value.detach()).contiguous()
        if group.is_first:
            # One at a time on the GPU, where each is put together for this.
            tensors[key] = full.cpu() if trained.sharded else full
    for rank, states in enumerate(group.gathered(_randomness(trained.network.device))):
        if group.is_first:
            tensors |= {_random_key(kind, rank): state for kind, state in states.items()}
    return tensors


def take_up(file: Path, trained: Trained, group: Group, step: int) -> None:
    """Give weights, moments, average and randomness the values in a file. A collective call.

    Only the first process reads. A process that was not there when the file was written draws its
    randomness from the step.

    Raises:
        UserError: it holds other weights than are trained.
    """
    source: Any = safe_open(file, framework="pt") if group.is_first else None
    shapes = group.from_first(lambda: _shapes(source))
    _check(file.parent, shapes, trained)

    def read(key: str, like: torch.Tensor) -> torch.Tensor:
        if source is not None:
            stored: torch.Tensor = source.get_tensor(key)
            full = stored.to(like.device, like.dtype)
        else:
            full = torch.empty(like.shape, device=like.device, dtype=like.dtype)
        return shared_like(group.spread(full), like)

    fused = bool(trained.optimizer.defaults.get("fused"))
    with torch.no_grad():
        for name, parameter in zip(trained.names, trained.parameters, strict=True):
            parameter.copy_(read(f"weight/{name}", parameter))
            counter = torch.zeros((), device=parameter.device if fused else "cpu")
            moments = {
                moment: read(
                    f"{moment}/{name}", counter if moment == "step" else parameter.detach()
                )
                for moment in MOMENTS
                if f"{moment}/{name}" in shapes
            }
            if moments:
                trained.optimizer.state[parameter] = moments
        for name, average in averages(trained).items():
            average.copy_(read(f"average/{name}", average))
    states = group.from_first(lambda: _random_states(source))
    _set_randomness(states, trained.network.device, group, step)


def averages(trained: Trained) -> dict[str, torch.Tensor]:
    """The moving average of the weights by name; empty where none is kept."""
    tensors = trained.average.tensors if trained.average else ()
    return dict(zip(trained.names, tensors, strict=False))


def _live(trained: Trained) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in zip(trained.names, trained.parameters, strict=True):
        yield f"weight/{name}", parameter
        # A weight that no gradient has reached has no moments.
        for moment, value in trained.optimizer.state.get(parameter, {}).items():
            yield f"{moment}/{name}", value
    for name, average in averages(trained).items():
        yield f"average/{name}", average


def _shapes(source: Any) -> dict[str, list[int]]:
    return {key: source.get_slice(key).get_shape() for key in source.keys()}  # noqa: SIM118


def _check(folder: Path, shapes: Mapping[str, list[int]], trained: Trained) -> None:
    """Raise UserError for a state of another configuration."""
    if any(key.startswith("average/") for key in shapes) != bool(trained.average):
        raise UserError(f"{folder}: ema_decay was another; choose another output folder")
    weights = {f"weight/{n}": list(p.shape) for n, p in zip(trained.names, trained.parameters)}  # noqa: B905
    if {key: shape for key, shape in shapes.items() if key.startswith("weight/")} != weights:
        raise UserError(
            f"{folder}: holds other trained weights than this configuration trains; "
            "choose another output folder"
        )


def _randomness(device: torch.device) -> dict[str, torch.Tensor]:
    states = {"rng": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda_rng"] = torch.cuda.get_rng_state(device)
    return states


def _random_states(source: Any) -> dict[str, torch.Tensor]:
    kinds = tuple(f"{kind}/" for kind in RANDOM)
    keys = [key for key in source.keys() if key in RANDOM or key.startswith(kinds)]  # noqa: SIM118
    return {key: source.get_tensor(key) for key in keys}


def _random_key(kind: str, rank: int) -> str:
    return f"{kind}/{rank}" if rank else kind


def _set_randomness(
    states: Mapping[str, torch.Tensor], device: torch.device, group: Group, step: int
) -> None:
    rng = states.get(_random_key("rng", group.rank))
    if rng is None:
        torch.manual_seed(hash((torch.initial_seed(), step)) % 2**63)
        return
    torch.set_rng_state(rng)
    cuda_rng = states.get(_random_key("cuda_rng", group.rank))
    if device.type == "cuda" and cuda_rng is not None:
        torch.cuda.set_rng_state(cuda_rng, device)
