"""The memory that tensors take, counted as they come and go."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

GPU_BLOCK = 512
"""GPU memory is handed out in multiples of so many bytes."""


class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, `now` and `peak` are the bytes of tensors that were made since it was entered.

    A storage counts once however many views it has, from its making until nothing holds it any more.
    What a kernel takes and gives back within itself is not seen. Works on fake tensors as on real ones.
    """

    def __init__(self, block_bytes: int = 1) -> None:
        """Begin at nothing; every storage takes a multiple of `block_bytes`."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.block_bytes = block_bytes
        self.now = 0
        self.peak = 0
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and count what it has made."""
        made = func(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._note, made)
        return made

    def ignore(self, *tensors: torch.Tensor) -> None:
        """Do not count these, which were there before."""
        for tensor in tensors:
            self._count(tensor.untyped_storage(), 0)

    def _note(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        self._count(storage, -(-storage.nbytes() // self.block_bytes) * self.block_bytes)

    def _count(self, storage: torch.UntypedStorage, num_bytes: int) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known[key] = weakref.finalize(storage, self._release, key, num_bytes)
        self.now += num_bytes
        self.peak = max(self.peak, self.now)

    def _release(self, key: int, num_bytes: int) -> None:
        self._known.pop(key, None)
        self.now -= num_bytes
