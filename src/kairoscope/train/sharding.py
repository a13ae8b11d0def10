"""A network in several processes: gradients added up (DDP), or everything shared out (FSDP2)."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from kairoscope.core import UserError
from kairoscope.train.group import Group

R = TypeVar("R")
Parallel = Literal["ddp", "fsdp", "hsdp"]
BUCKET_BYTES = 2**26
"""Gradients that travel together."""


class Root(torch.nn.Module):
    """The outermost module: all work on the network happens in a call of it.

    FSDP puts weights together when a module is called, and this project calls parts of the
    network by themselves.
    """

    def __init__(self, network: Any) -> None:
        """Wrap a network."""
        super().__init__()
        self.network = network

    def forward(self, work: Callable[[Any], R]) -> R:
        """What `work` makes of the network."""
        return work(self.network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharded:
    """A network whose weights, gradients and moments are shared out among processes (DTensors)."""

    root: Root
    hollow: Any
    """The network as it was, without weights."""

    def run(self, work: Callable[[Any], R]) -> R:
        """What `work` makes of the network, forward; `backward` follows by itself. A collective call."""
        made: R = self.root(work)
        return made

    @contextmanager
    def whole(self) -> Iterator[Any]:
        """The network with all its weights, on every process; leaving frees them. A collective call."""
        with torch.no_grad():
            weights = {name: whole(p) for name, p in self.root.network.named_parameters()}
        nothing = dict(self.hollow.named_parameters())
        _assign(self.hollow, weights)
        try:
            yield self.hollow
        finally:
            _assign(self.hollow, nothing)


def shard(network: Any, parallel: Parallel, group: Group) -> Sharded:
    """Share a network out among the processes, in place: block by block, and the rest.

    A gradient is then the sum over all processes. `fsdp`: among all processes. `hsdp`: among those
    of one machine, with copies on the others. A frozen vision tower stays whole everywhere: it may
    have nothing to do for a process whose features are known.

    Raises:
        UserError: `hsdp` with machines of different numbers of processes.
    """
    hollow = _hollow(network)
    mesh = _mesh(network.device.type, parallel, group)
    tower = network.model.visual
    frozen = not any(p.requires_grad for p in tower.parameters())
    apart = set(tower.parameters()) if frozen else set()
    root = Root(network)
    blocks = [] if frozen else list(tower.blocks)
    for block in [*blocks, *network.model.language_model.layers, root]:
        fully_shard(block, mesh=mesh, ignored_params=apart)
    for module in root.modules():
        if isinstance(module, FSDPModule):
            # The loss is divided by the tokens of the whole batch already.
            module.set_force_sum_reduction_for_comms(enable=True)
            module.set_gradient_divide_factor(1.0)
    return Sharded(root=root, hollow=hollow)


def _mesh(device_type: str, parallel: Parallel, group: Group) -> Any:
    if parallel == "fsdp":
        return init_device_mesh(device_type, (group.size,))
    if group.size % group.local_size:
        raise UserError(
            f"parallel is 'hsdp' with {group.size} processes, {group.local_size} on this machine; "
            "it needs as many on every machine"
        )
    shape = (group.size // group.local_size, group.local_size)
    return init_device_mesh(device_type, shape, mesh_dim_names=("replicate", "shard"))


def _hollow(network: Any) -> Any:
    """A copy of a network without its weights."""
    empty = {
        id(p): torch.nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad)
        for p in network.parameters()
    }
    return copy.deepcopy(network, empty)


def _assign(network: Any, weights: dict[str, torch.Tensor]) -> None:
    """Put other tensors in the place of the parameters; one that is tied gets the same one twice."""
    new: dict[int, torch.nn.Parameter] = {}
    old = dict(network.named_parameters())
    for name, weight in weights.items():
        new[id(old[name])] = torch.nn.Parameter(weight, old[name].requires_grad)
    for module in network.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                module._parameters[name] = new[id(parameter)]


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor, put together where it is shared out. A collective call."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shared_like(full: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A whole tensor, which every process has, as a weight `like` holds it."""
    if not isinstance(like, DTensor):
        return full
    return distribute_tensor(full, like.device_mesh, like.placements, src_data_rank=None)


def add_gradients(parameters: Sequence[torch.nn.Parameter], group: Group) -> None:
    """Sum gradients over all processes, for weights of which each has a copy. A collective call."""
    if group.size == 1:
        return
    for bucket in _buckets(p.grad for p in parameters if p.grad is not None):
        flat = group.add(torch.cat([gradient.flatten() for gradient in bucket]))
        parts = torch.split(flat, [gradient.numel() for gradient in bucket])
        for gradient, part in zip(bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def _buckets(gradients: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    bucket: list[torch.Tensor] = []
    for gradient in gradients:
        bucket.append(gradient)
        if sum(g.nbytes for g in bucket) >= BUCKET_BYTES:
            yield bucket
            bucket = []
    if bucket:
        yield bucket
