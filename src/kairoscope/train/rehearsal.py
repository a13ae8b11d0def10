"""A training step without data: the real forward and backward pass on tensors that have only shapes.

What it takes is counted tensor by tensor, so the count follows the code, whatever it becomes. A network
of 7 billion weights needs its `config.json` and a few seconds.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from types import SimpleNamespace
from typing import Any, Literal

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from kairoscope.config import SFTConfig
from kairoscope.models.chat import Film
from kairoscope.models.checkpoint import CLASSES, make_encoder, use_fast_attention
from kairoscope.train.flops import Arithmetic
from kairoscope.train.ledger import GPU_BLOCK, Ledger
from kairoscope.train.micro import MicroBatch, Targets
from kairoscope.train.optimise import forward_losses
from kairoscope.train.rehearsed_attention import kept_attention, rehearse_kernels
from kairoscope.train.rehearsed_compile import put_stand_ins
from kairoscope.train.trainable import prepare
from kairoscope.video.sampling import PatchGeometry

Kind = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A sample's size."""

    grid_thw: tuple[int, int, int]
    """Patches in time, down and across."""
    num_text: int
    """Tokens of the prompt that are not video."""
    num_answer: int

    def num_vision(self, merge: int) -> int:
        """Vision tokens."""
        frames, rows, columns = self.grid_thw
        return frames * rows * columns // merge**2

    def num_tokens(self, merge: int) -> int:
        """Length of the whole sequence."""
        return self.num_vision(merge) + self.num_text + self.num_answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a step takes on one device, in bytes."""

    weights: int
    gradients: int
    """Of all trained weights together."""
    optimizer: int
    """Moments, and the moving average of the weights where one is kept."""
    activations: int
    """All else at the peak: what the backward pass needs, logits, temporary tensors."""
    logits: int
    """Part of `activations`: outputs over the vocabulary where there is something to predict."""
    cache: int
    """Keys and values of one clip while held-out clips are answered; not at the same time."""
    communication: int = 0
    """Weights and gradients put together from other devices, at most at a time."""

    @property
    def peak(self) -> int:
        """The most at one time."""
        held = self.weights + self.optimizer
        return held + max(self.gradients + self.activations + self.communication, self.cache)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a network and a step of it are like."""

    num_weights: int
    num_trained: int
    memory: Memory
    arithmetic: Arithmetic
    blocks: tuple[int, ...]
    """Bytes of the blocks that FSDP handles one by one."""
    unshared: int = 0
    """Bytes of weights that are whole on every device whatever is shared out: a frozen vision tower."""


def rehearse(
    network_config: Any,
    config: SFTConfig,
    shapes: Sequence[Shape],
    *,
    kind: Kind,
    passes: int = 1,
) -> Rehearsed:
    """Count what one micro-batch takes.

    Args:
        network_config: of a Qwen2.5-VL or Qwen3-VL checkpoint, as `AutoConfig` reads it.
        config: how it is trained.
        shapes: of the samples of the largest micro-batch.
        kind: what it will run on; nothing is run there.
        passes: micro-batches of a step; from the second on, gradients lie there already.
    """
    with torch.device("meta"):
        family = CLASSES[network_config.model_type]
        network = family._from_config(copy.deepcopy(network_config), dtype=torch.float32)
        # What compiling and comparing weights would do needs weights.
        prepare(network, replace(config, dtype="float32", compile=False))
    _hold_frozen(network, network_config, config)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with fake:
        _replace(network, lambda t: torch.empty(t.shape, dtype=t.dtype))
        pixels = torch.empty((0,), dtype=torch.uint8)
    (rehearse_kernels if kind == "cuda" else use_fast_attention)(network)
    if hasattr(network.model.language_model, "_deepstack_process"):
        network.model.language_model._deepstack_process = _add_to_the_first
    micro = micro_batch_of(network_config, geometry_of(network_config), shapes, config, pixels)
    peak = _step_peak(network, geometry_of(network_config), micro, config, passes, kind)
    return _rehearsed(network, network_config, shapes, config, peak)


def geometry_of(network_config: Any) -> PatchGeometry:
    """How the vision tower of a configuration cuts frames. Raises UserError as `make_encoder` does."""
    return make_encoder(SimpleNamespace(config=network_config), None).geometry


def _step_peak(
    network: Any,
    geometry: PatchGeometry,
    micro: MicroBatch,
    config: SFTConfig,
    passes: int,
    kind: Kind,
) -> int:
    """Bytes at the peak of the last pass, gradients included, weights not."""
    work = partial(
        forward_losses, geometry=geometry, micro=micro, with_dense=config.dense_weight > 0
    )
    bfloat16 = config.dtype == "bfloat16"
    half = partial(
        torch.autocast, network.device.type, torch.bfloat16, enabled=bfloat16, cache_enabled=False
    )
    if config.compile and not config.gradient_checkpointing:
        with half():
            put_stand_ins(network, work, kept_activations=config.kept_activations)
    with Ledger(GPU_BLOCK if kind == "cuda" else 1) as ledger, kept_attention():
        ledger.ignore(*network.parameters(), *network.buffers())
        for _ in range(min(passes, 2)):
            ledger.peak = ledger.now
            with half():
                answer, dense = work(network)
                loss: Any = answer + dense
            loss.backward()
            del answer, dense, loss
    peak: int = ledger.peak
    return peak


def _hold_frozen(network: Any, network_config: Any, config: SFTConfig) -> None:
    """Frozen weights that were published in bfloat16 are kept so; see `speed`."""
    published = getattr(network_config, "dtype", None)
    if config.dtype == "bfloat16" and published in (torch.bfloat16, "bfloat16"):
        _replace(network, lambda t: t if t.requires_grad else t.bfloat16(), buffers=False)


def _add_to_the_first(hidden_BLD: Any, _mask: Any, deep_ND: Any) -> Any:
    """As Qwen3-VL adds features to their places: without values, it is not known which these are."""
    changed = hidden_BLD.clone()
    rows_LD = changed.flatten(0, -2)
    rows_LD[: len(deep_ND)] = rows_LD[: len(deep_ND)] + deep_ND.to(changed.dtype)
    return changed


def _replace(
    network: Any, make: Callable[[torch.Tensor], torch.Tensor], *, buffers: bool = True
) -> None:
    """Put other tensors in the place of weights and buffers; tied weights stay tied."""
    new: dict[int, torch.nn.Parameter] = {}
    for module in network.modules():
        for name, old in list(module._parameters.items()):
            if old is not None:
                if id(old) not in new:
                    new[id(old)] = torch.nn.Parameter(make(old).detach(), old.requires_grad)
                module._parameters[name] = new[id(old)]
        for name, old in list(module._buffers.items()):
            if buffers and old is not None:
                module._buffers[name] = make(old)


def micro_batch_of(
    network_config: Any,
    geometry: PatchGeometry,
    shapes: Sequence[Shape],
    config: SFTConfig,
    pixels: torch.Tensor,
) -> MicroBatch:
    """A micro-batch of these sizes: real token numbers, pixels without values."""
    merge, temporal, side = geometry.merge, geometry.temporal, geometry.patch_px
    lengths = [shape.num_tokens(merge) for shape in shapes]
    size = (1, sum(lengths)) if config.packing else (len(shapes), max(lengths))
    ids = torch.zeros(size, dtype=torch.long)
    places: list[tuple[int, int]] = []
    dense: list[tuple[int, int]] = []
    row, first = 0, 0
    for shape, length in zip(shapes, lengths, strict=True):
        ids[row, first : first + shape.num_vision(merge)] = network_config.video_token_id
        end = first + length
        places += [(row, column - 1) for column in range(end - shape.num_answer, end)]
        if config.dense_weight:
            dense += [(row, first + column) for column in range(shape.num_vision(merge))]
        row, first = (row, end) if config.packing else (row + 1, 0)
    films = tuple(
        Film(
            pixels_THWC=pixels.new_empty((t * temporal, h * side, w * side, 3)), grid_thw=(t, h, w)
        )
        for t, h, w in _joined(shapes)
    )
    return MicroBatch(
        ids_BL=ids,
        positions_3BL=torch.arange(size[1]).expand(3, *size).contiguous(),
        films=films,
        answer=_targets(places),
        dense=_targets(dense),
        num_tokens=sum(lengths),
        num_samples=len(shapes),
        lengths=tuple(lengths) if config.packing else (),
    )


def _joined(shapes: Sequence[Shape]) -> list[tuple[int, int, int]]:
    """Grids of the videos that the tower is shown: neighbours of one size are one; see `chat.films`."""
    alike = groupby((shape.grid_thw for shape in shapes), key=lambda grid: grid[1:])
    return [(sum(grid[0] for grid in grids), *size) for size, grids in alike]


def _targets(places: Sequence[tuple[int, int]]) -> Targets:
    rows, columns = torch.tensor(places, dtype=torch.long).reshape(-1, 2).unbind(1)
    return Targets(rows=rows, columns=columns, tokens=torch.zeros_like(rows))


def _rehearsed(
    network: Any,
    network_config: Any,
    shapes: Sequence[Shape],
    config: SFTConfig,
    peak: int,
) -> Rehearsed:
    merge = network_config.vision_config.spatial_merge_size
    text = network_config.get_text_config()
    trained = [p for p in network.parameters() if p.requires_grad]
    gradients = _num_bytes(trained)
    longest = max(shape.num_tokens(merge) for shape in shapes)
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    answers = sum(shape.num_answer for shape in shapes)
    tower = network.model.visual
    frozen = not any(p.requires_grad for p in tower.parameters())
    parts = [*([] if frozen else tower.blocks), *network.model.language_model.layers]
    memory = Memory(
        weights=_num_bytes([*network.parameters(), *network.buffers()]),
        gradients=gradients,
        optimizer=gradients * (3 if config.ema_decay else 2),
        activations=max(0, peak - gradients),
        logits=3 * 4 * answers * text.vocab_size,
        cache=2 * 4 * text.num_hidden_layers * text.num_key_value_heads * head_dim * longest,
    )
    numbers = {id(p): p.numel() for p in network.parameters()}
    return Rehearsed(
        num_weights=sum(numbers.values()),
        num_trained=sum(p.numel() for p in trained),
        memory=memory,
        arithmetic=Arithmetic.of(network),
        blocks=tuple(_num_bytes(part.parameters()) for part in parts),
        unshared=_num_bytes(tower.parameters()) if frozen else 0,
    )


def _num_bytes(tensors: Any) -> int:
    storages = {id(t): t.numel() * t.element_size() for t in tensors}
    return sum(storages.values())
