"""The devices that a plan is made for, and how fast they are taken to be."""

import time
from dataclasses import dataclass

import torch

from kairoscope.config import SFTConfig
from kairoscope.core import UserError
from kairoscope.train.clips import available_bytes
from kairoscope.train.flops import PEAKS, gpu_named

GIB = 2**30
HALF_USE, COMPILED_USE, CHECKPOINTED_USE, FULL_USE, CPU_USE = 0.35, 0.44, 0.27, 0.04, 0.35
"""Share of a device's best bfloat16 speed that training is taken to reach: in bfloat16, the same compiled,
with gradient checkpointing instead, in float32; and of a CPU's measured speed."""
SHARED_USE = 0.9
"""What is left of it where weights are shared out among devices (measured on two: 0.88 to 0.93)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The devices that will train."""

    kind: str
    """`cpu`, or a key of `PEAKS`."""
    count: int
    memory_gib: float
    """Of each."""
    operations_per_s: float
    """Of each, in bfloat16, at best."""

    @property
    def on_gpu(self) -> bool:
        """Whether it has GPUs."""
        return self.kind != "cpu"


def expected_use(config: SFTConfig, machine: Machine) -> float:
    """Share of a device's best speed that training is taken to reach."""
    if not machine.on_gpu:
        return CPU_USE * (0.75 if config.gradient_checkpointing else 1)
    if config.dtype == "float32":
        return FULL_USE
    use = HALF_USE
    if config.compile:
        use = COMPILED_USE
    elif config.gradient_checkpointing:
        use = CHECKPOINTED_USE
    shared = machine.count > 1 and config.parallel != "ddp"
    return use * SHARED_USE if shared else use


def this_machine(count: int, memory_gib: float | None = None) -> Machine:
    """The GPUs of this machine, or its CPU; `memory_gib` takes the place of what is there."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        known = gpu_named(name)
        if known is None:
            raise UserError(f"{name}: its speed is not known; give --gpu ({', '.join(PEAKS)})")
        there = torch.cuda.get_device_properties(0).total_memory / GIB
        return Machine(
            kind=known,
            count=count,
            memory_gib=memory_gib or there,
            operations_per_s=PEAKS[known][0],
        )
    there = available_bytes() / GIB / count
    speed = _cpu_speed() / count
    return Machine(kind="cpu", count=count, memory_gib=memory_gib or there, operations_per_s=speed)


def gpus(kind: str, count: int, memory_gib: float | None = None) -> Machine:
    """GPUs of a kind. Raises UserError where it is not in `PEAKS`."""
    if kind not in PEAKS:
        raise UserError(f"--gpu {kind}: not known; allowed: {', '.join(PEAKS)}")
    speed, memory = PEAKS[kind]
    return Machine(kind=kind, count=count, memory_gib=memory_gib or memory, operations_per_s=speed)


def _cpu_speed() -> float:
    """Operations a second of this CPU in a matrix product (float32): the best of ten."""
    matrix, seconds = torch.ones(512, 512), []
    for _ in range(10):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        seconds.append(time.perf_counter() - started)
    return float(2 * 512**3 / min(seconds))
