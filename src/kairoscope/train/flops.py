"""Floating-point operations of a training step, and what a device could do at best.

Counted as the model's arithmetic needs them: a multiplication and an addition are two; products of
matrices and attention only; nothing for what is computed twice (gradient checkpointing). A weight that is
trained costs its forward pass three times (forward, gradient of the input, gradient of the weight), a
frozen one twice where something below it is trained, else once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kairoscope.train.micro import MicroBatch

PEAKS: dict[str, tuple[float, float]] = {
    "h200": (989e12, 140.0),
    "h100": (989e12, 79.1),
    "b200": (2250e12, 178.0),
    "a100-80gb": (312e12, 79.1),
    "a100-40gb": (312e12, 39.4),
    "l40s": (362e12, 44.4),
    "l4": (121e12, 22.0),
    "rtx-4090": (165e12, 23.5),
    "rtx-6000-ada": (364e12, 47.4),
}
"""Dense bfloat16 operations a second, and memory in GiB, as the makers state them."""


def device_peak(device: torch.device) -> float | None:
    """Dense bfloat16 operations a second of a GPU at best; None where it is not known."""
    if device.type != "cuda":
        return None
    name = gpu_named(torch.cuda.get_device_name(device))
    return PEAKS[name][0] if name else None


def gpu_named(name: str) -> str | None:
    """The key of `PEAKS` for what a driver calls a GPU: `NVIDIA H200` -> `h200`."""
    words = name.lower().replace("-", " ").split()
    memory = "40gb" if "40gb" in words else "80gb"
    for key in PEAKS:
        wanted = key.split("-")
        if all(word in (*words, memory) for word in wanted):
            return key
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """What a network's matrices cost, from their shapes and from what is trained."""

    language_weights: int
    """In products with every token; embeddings are looked up."""
    head_weights: int
    """In products with tokens that are predicted from."""
    vision_weights: int
    """In products with every patch."""
    merger_weights: int
    """In products with every vision token."""
    language_attention: int
    """Operations a pair of tokens, over all layers."""
    window_attention: int
    """Operations a pair of patches of one window, over the layers with windows."""
    full_attention: int
    """The same for pairs of one temporal patch, over the other layers."""
    window_patches: int
    """Patches of a whole window; 0: the tower has none."""
    merge: int
    trains_language: bool
    trains_vision: bool
    """Or the merger, which stands behind the vision tower."""
    all_language: bool
    """Its weights themselves, not adapters."""

    @classmethod
    def of(cls, network: Any) -> "Arithmetic":
        """Of a network as it is prepared for training."""
        text, vision = network.config.get_text_config(), network.config.vision_config
        language, tower = network.model.language_model, network.model.visual
        head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        own = [p for n, p in language.layers.named_parameters() if ".lora_" not in n]
        mergers = [m for n, m in tower.named_children() if "merger" in n]
        merged = sum(_matrices(m.parameters()) for m in mergers)
        full = getattr(vision, "fullatt_block_indexes", None)
        depth = len(tower.blocks)
        num_full = depth if full is None else len([i for i in full if i < depth])
        side = getattr(vision, "window_size", 0) // vision.patch_size if full is not None else 0
        return cls(
            language_weights=_matrices(own),
            head_weights=network.lm_head.weight.numel(),
            vision_weights=_matrices(tower.parameters()) - merged,
            merger_weights=merged,
            language_attention=4 * text.num_attention_heads * head_dim * len(language.layers),
            window_attention=4 * vision.hidden_size * (depth - num_full),
            full_attention=4 * vision.hidden_size * num_full,
            window_patches=side * side,
            merge=vision.spatial_merge_size,
            trains_language=any(p.requires_grad for p in language.parameters()),
            trains_vision=any(p.requires_grad for p in tower.parameters()),
            all_language=any(p.requires_grad for p in own),
        )

    def step(
        self,
        lengths: Sequence[float],
        num_answer: int,
        grids: Sequence[tuple[int, int, int]],
    ) -> float:
        """Operations of forward and backward pass.

        Args:
            lengths: tokens of each sample.
            num_answer: tokens that are predicted.
            grids: patches in time, down and across of the videos that the tower looks at; none
                where its features are known.
        """
        attention = self.language_attention * sum(n * n for n in lengths) / 2
        language = 2 * self.language_weights * sum(lengths) + attention
        head = 2 * self.head_weights * num_answer
        tower, merger = 0.0, 0.0
        for frames, rows, columns in grids:
            frame = rows * columns
            window = min(frame, self.window_patches)
            pairs = frame * (self.window_attention * window + self.full_attention * frame)
            tower += frames * (2 * self.vision_weights * frame + pairs)
            merger += frames * 2 * self.merger_weights * frame / self.merge**2
        own = 3 if self.all_language else 2
        if not self.trains_language and not self.trains_vision:
            own = 1
        return own * (language + head) + (3 if self.trains_vision else 1) * (tower + merger)

    def of_batch(self, batch: Sequence[MicroBatch]) -> float:
        """Operations of the micro-batches of an optimiser step."""
        operations = 0.0
        for micro in batch:
            mean = micro.num_tokens / micro.num_samples
            lengths: Sequence[float] = micro.lengths or [mean] * micro.num_samples
            grids = [film.grid_thw for film in micro.films]
            operations += self.step(lengths, len(micro.answer) + len(micro.dense), grids)
        return operations


def _matrices(parameters: Any) -> int:
    return sum(p.numel() for p in parameters if p.ndim >= 2)
