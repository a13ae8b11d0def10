"""The processes of one training run, as `torchrun` or Slurm starts them.

A process alone is a group of one, for which every function below is the identity: the training loop
is written once, for any number.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from kairoscope.core import UserError

T = TypeVar("T")
PATIENCE = timedelta(hours=12)
"""How long the others wait while the first process decodes; a process that dies is noticed at once."""
ENDED = "kairoscope/ended"
"""Key of the store under which the first process to fail leaves its rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Rank among the processes of this machine, which is the number of its GPU."""
    local_size: int = 1
    store: Any = None
    """What the processes can leave each other notes in, whatever else has broken down."""

    @classmethod
    def join(cls) -> Self:
        """Meet the other processes that the environment tells of; alone where it tells of none.

        Raises:
            UserError: the environment is incomplete, or the others cannot be reached.
        """
        size = _number("WORLD_SIZE", 1)
        if size <= 1:
            return cls()
        rank = _number("RANK", None)
        local_rank = _number("LOCAL_RANK", rank)
        local_size = _number("LOCAL_WORLD_SIZE", size)
        backend = "gloo"
        if torch.cuda.is_available():
            if local_rank >= torch.cuda.device_count():
                raise UserError(
                    f"process {local_rank} of this machine has no GPU of its own: there are "
                    f"{torch.cuda.device_count()}; start as many processes as there are GPUs"
                )
            torch.cuda.set_device(local_rank)
            backend = "cpu:gloo,cuda:nccl"
        try:
            store, _, _ = next(rendezvous("env://", rank, size, timeout=PATIENCE))
            prefixed = PrefixStore("kairoscope", store)
            dist.init_process_group(
                backend, store=prefixed, rank=rank, world_size=size, timeout=PATIENCE
            )
        except (ValueError, RuntimeError) as error:
            raise UserError(f"process {rank} of {size} cannot meet the others: {error}") from error
        return cls(rank=rank, size=size, local_rank=local_rank, local_size=local_size, store=store)

    def leave(self) -> None:
        """Part from the others at the end of all work."""
        if self.size > 1:
            dist.destroy_process_group()

    @property
    def is_first(self) -> bool:
        """Whether this process writes logs, checkpoints and progress."""
        return self.rank == 0

    def device(self, asked: str | None) -> str | None:
        """The device of this process, where the user named `asked` or none.

        Raises:
            UserError: one GPU was named for several processes.
        """
        if self.size == 1 or asked == "cpu":
            return asked
        if asked not in (None, "cuda"):
            raise UserError(
                f"device {asked!r} for {self.size} processes; allowed: cpu, cuda (each process takes "
                "the GPU of its own number)"
            )
        return f"cuda:{self.local_rank}" if torch.cuda.is_available() else asked

    def check_batch_size(self, batch_size: int) -> None:
        """Raise UserError where a process would have nothing to do."""
        if batch_size < self.size:
            raise UserError(
                f"batch_size is {batch_size}, fewer than the {self.size} processes that share it; "
                f"allowed: {self.size} or more"
            )

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of items: every `size`-th. `merged` puts results in order again."""
        return items[self.rank :: self.size]

    def merged(self, results: Sequence[T]) -> list[T]:
        """Results for the shares of all processes, in the order of the items. A collective call."""
        parts = self.gathered(list(results))
        merged: list[Any] = [None] * sum(len(part) for part in parts)
        for rank, part in enumerate(parts):
            merged[rank :: self.size] = part
        return merged

    def gathered(self, value: T) -> list[T]:
        """The value of every process, by rank. A collective call."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, for all. A collective call."""
        if self.size == 1:
            return make()
        box: list[Any] = [make() if self.is_first else None]
        dist.broadcast_object_list(box, src=0)
        made: T = box[0]
        return made

    def counts(self, *numbers: int) -> list[list[int]]:
        """Whole numbers of every process: `counts[rank][i]`. A collective call."""
        if self.size == 1:
            return [list(numbers)]
        mine = torch.tensor(numbers)
        everyones = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(everyones, mine)
        return [theirs.tolist() for theirs in everyones]

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over all processes, in place. A collective call."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def spread(self, tensor: torch.Tensor) -> torch.Tensor:
        """Overwrite a tensor with the first process's. A collective call."""
        if self.size > 1:
            dist.broadcast(tensor, src=0)
        return tensor

    def is_first_to_end(self) -> bool:
        """Whether no other process has failed before this one, which then has to say why."""
        if self.store is None:
            return True
        mine = str(self.rank).encode()
        try:
            said: bytes = self.store.compare_set(ENDED, "", str(self.rank))
        except RuntimeError:
            return False  # the store went down with the process that held it
        return said == mine


ALONE = Group()


def _number(name: str, default: int | None) -> int:
    """A variable of the environment as a whole number of 0 or more."""
    text = os.environ.get(name, "")
    if not text and default is not None:
        return default
    if not text.isdigit():
        raise UserError(
            f"{name} is {text!r}: several processes need RANK, WORLD_SIZE, MASTER_ADDR and "
            "MASTER_PORT, which torchrun sets"
        )
    return int(text)
