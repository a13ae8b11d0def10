"""Settings of a whole recipe as frozen dataclasses: how a model is evaluated and trained."""

from dataclasses import dataclass
from typing import Any, Literal

from kairoscope.core import Decoding, FramePolicy, Sampling, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters on the language model's linear layers."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTConfig:
    """Supervised fine-tuning."""

    epochs: float = 3.0
    max_steps: int | None = None
    """Ends the run earlier than `epochs` would; None: `epochs` decides."""
    batch_size: int = 32
    """Samples an optimiser step, over all devices."""
    micro_batch_size: int = 8
    """Samples a forward pass; gradients accumulate up to `batch_size`."""
    learning_rate: float = 2e-5
    min_learning_rate_ratio: float = 0.1
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int | None = None
    """Steps of the linear warm-up; None: 20, or a tenth of the steps where that is less."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What is computed in; weights and optimiser stay in float32."""
    save_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the weights in the best checkpoint."""
    lora: LoraConfig | None = None
    freeze_vision: bool = False
    freeze_language: bool = False
    gradient_checkpointing: bool = False
    dense_weight: float = 0.0
    """Weight of the dense auxiliary loss: the video positions themselves learn to say the time
    and the running event. Speeds up training from scratch; 0 turns it off."""
    augment: bool = False
    """Random trim, speed and event subsets in training, so that times cannot be guessed."""
    feed_workers: int = 0
    """Processes that make the samples of coming steps; 0: a thread, which is enough for a CPU."""
    clips_gib: float | None = None
    """Memory for decoded clips in GiB; None: a quarter of what is free. Clips that do not fit are
    decoded again whenever they are needed."""
    max_tokens: int = 16_384
    """A sample longer than this is listed and left out before the first step, never cut."""
    eval_every: int = 50
    """Optimiser steps between evaluations of the task's metric on the held-out samples."""
    save_every: int = 50
    keep_checkpoints: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalConfig:
    """One evaluation."""

    sampling: Sampling = Sampling()
    decoding: Decoding = "posterior"
    wrong_video_control: bool = True
    """Ask the same questions about another clip of the same kind: what remains is not seen."""
    bootstrap_draws: int = 2000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A task with the settings that were found best for it: one file in `recipes/`."""

    name: str
    title: str
    task: Task[Any, Any]
    frames: FramePolicy
    """For checkpoints that bring no policy of their own (`kairoscope.json` beside the weights)."""
    base_model: str
    evaluation: EvalConfig
    sft: SFTConfig
    success: str
    """The goal in words, for the report."""
    targets: dict[str, float]
    """Metric key -> the value at which the recipe counts as solved."""
