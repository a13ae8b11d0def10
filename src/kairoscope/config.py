"""Settings as frozen dataclasses: what a model sees, how it answers, how it is trained."""

from dataclasses import dataclass
from typing import Literal

StampMode = Literal["pair", "frame", "none"]
"""`pair`: one label for every two sampled frames, which share one temporal patch. `frame`: one
for each frame, as a video stamped before sampling has. `none`: no label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePolicy:
    """Which frames and pixels a model sees. Training and evaluation share one such object."""

    fps: float = 8.0
    """Sampled frames a second, 0.1 to 60. Frame i is the one shown at i / fps."""
    max_frames: int = 768
    """A longer clip is sampled more slowly so that at most this many frames are taken."""
    total_pixels: int = 6_422_528
    """Pixels of the whole video: 8192 vision tokens of 28 x 28, as the recipe has it. Two frames
    share one token, so this is spread as total_pixels * 2 / num_frames a frame."""
    min_frame_pixels: int = 16 * 28 * 28
    max_frame_pixels: int = 768 * 28 * 28
    stamp: StampMode = "pair"
    stamp_place: Literal["over", "band"] = "over"
    """`over`: on the bottom of the picture. `band`: on a black band added below it, so that the
    label hides nothing."""
    stamp_height: float = 0.12
    """Height of the label's digits as a share of the frame's height (0.05 to 0.5)."""
    clock_scale: float = 1.0
    """Factor on the temporal positions. Above 2 sampled frames a second, several temporal patches
    share one position id; 0.5 * fps at fps 8 gives each its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn."""

    trials: int = 1
    temperature: float = 0.0
    """0 takes the most likely token."""
    top_p: float = 1.0
    max_new_tokens: int = 1024
    seed: int = 0


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
    warmup_steps: int = 20
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    dtype: Literal["float32", "bfloat16"] = "float32"
    lora: LoraConfig | None = None
    freeze_vision: bool = False
    freeze_language: bool = False
    gradient_checkpointing: bool = False
    dense_weight: float = 0.0
    """Weight of the dense auxiliary loss: the video positions themselves learn to say the time
    and the running event. Speeds up training from scratch; 0 turns it off."""
    augment: bool = False
    """Random trim, speed and event subsets in training, so that times cannot be guessed."""
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
    decoding: Literal["free", "constrained", "posterior"] = "posterior"
    wrong_video_control: bool = True
    """Ask the same questions about another clip of the same kind: what remains is not seen."""
    bootstrap_draws: int = 2000
