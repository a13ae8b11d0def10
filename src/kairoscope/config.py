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
    parallel: Literal["ddp", "fsdp", "hsdp"] = "ddp"
    """What several processes share. `ddp`: the batch. `fsdp`: weights, gradients and optimiser as well.
    `hsdp`: these among the processes of one machine. The result is the same to rounding."""
    epoch_steps: Literal["exact", "up", "down"] = "exact"
    """Steps of an epoch whose samples do not fill whole batches. `exact`: the batch runs over into the
    next epoch. `up`, `down`: every epoch counts as whole batches, rounded up or down, as in trainers
    that end an epoch with a short batch, or drop it; batches themselves are always full."""
    balance: Literal["none", "up", "down"] = "none"
    """`up`: every label comes as often an epoch as the commonest; `down`: as the rarest."""
    packing: bool = False
    """Samples of a step share sequences of up to `pack_tokens`, each seeing itself alone, instead
    of rows that are padded to the longest: `micro_batch_size` is then not used. Gradients are the
    same."""
    pack_tokens: int = 16_384
    """Tokens of a packed sequence; a longer sample has one of its own."""
    learning_rate: float = 2e-5
    vision_learning_rate: float | None = None
    """Of the vision tower; None: `learning_rate`."""
    projector_learning_rate: float | None = None
    """Of the merger between vision tower and language model; None: `learning_rate`."""
    min_learning_rate_ratio: float = 0.1
    schedule: Literal["cosine", "linear", "sqrt", "constant"] = "cosine"
    decay_share: float = 1.0
    """Share of the steps, at the end, over which the schedule decays; 1: all after the warm-up."""
    warmup_steps: int | None = None
    """Steps of the linear warm-up; None: 20, or a tenth of the steps where that is less."""
    warmup_share: float | None = None
    """The warm-up as a share of the steps instead, where `warmup_steps` is None."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    """Above 0: a moving average of the weights is kept, evaluated and saved as the best checkpoint;
    0.999 looks back over some thousand steps. It begins faster: (1 + n) / (10 + n) at update n."""
    ema_every: int = 1
    """Optimiser steps between updates of the average."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What is computed in; weights and optimiser stay in float32."""
    save_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the weights in the best checkpoint."""
    lora: LoraConfig | None = None
    freeze_vision: bool = False
    freeze_language: bool = False
    gradient_checkpointing: bool = False
    compile: bool = False
    """torch compiles the language model's layers: faster on a GPU once it has, after the first steps.
    Results are the same to rounding, so not to the bit those of a run without."""
    kept_activations: float = 1.0
    """With `compile`: share of a layer's activations that is kept; torch chooses what is cheapest to
    compute again. Faster than `gradient_checkpointing`, whose place it takes."""
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
    cache: bool = False
    """Keep on disk what a frozen vision tower makes of every clip: epochs after the first neither
    decode nor run it. Where the tower is trained, or with `augment`, decoded pictures instead."""
    cache_folder: str | None = None
    """None: `cache/` in the run's folder. One folder may serve many runs."""
    max_tokens: int = 16_384
    """A sample longer than this is listed and left out before the first step, never cut."""
    eval_every: int = 50
    """Optimiser steps between evaluations of the task's metric on the held-out samples."""
    patience: int | None = None
    """Ends the run after this many evaluations in a row that were not the best; None: never."""
    min_improvement: float = 0.0
    """By how much, in the unit of the headline metric, a score must beat the best to be the best."""
    save_every: int = 50
    keep_checkpoints: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPOConfig:
    """Reinforcement learning by group-relative advantages. Fields as in `SFTConfig` mean the same."""

    epochs: float = 1.0
    epoch_steps: Literal["exact", "up", "down"] = "exact"
    balance: Literal["none", "up", "down"] = "none"
    max_steps: int | None = None
    rollouts_per_step: int = 128
    """Answers an optimiser step learns from, over all devices; `group_size` of them to a prompt."""
    group_size: int = 8
    prompts_at_once: int = 4
    """Prompts that are answered in one call."""
    micro_batch_size: int = 8
    """Answers to one prompt that share a forward pass, in which the prompt is computed once."""
    inner_updates: int = 1
    """Optimiser steps on the same rollouts."""
    decoding: Literal["free", "constrained"] = "free"
    """How answers are drawn. `constrained`: along the task's template, token by token among those that
    may come; probabilities, in drawing and in the loss, are those among these tokens."""
    variant: Literal["grpo"] = "grpo"
    loss: Literal["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"] = "token-mean"
    epsilon_low: float = 0.2
    epsilon_high: float = 0.2
    dual_clip: float = 3.0
    importance_cap: float = 2.0
    """Most that an answer's token weighs which a server drew with a smaller probability than the trainer
    computes."""
    kl_beta: float = 0.0
    """Weight of the k3 estimate of the divergence from the starting weights; 0: none is kept."""
    scale_advantages: bool = True
    """Divide a group's advantages by the standard deviation of its rewards."""
    shared_prefix_tokens: int | None = None
    """Tokens from which on a prefix is not learned from that answers with other rewards share."""
    rewards: tuple[tuple[str, float], ...] | None = None
    """Names of rewards with their weights; None: the recipe's own."""
    policy_temperature: float = 1.0
    """Divides the logits in the loss."""
    temperature: float = 1.0
    """Of sampling."""
    top_p: float = 1.0
    max_new_tokens: int = 2048
    max_tokens: int = 16_384
    learning_rate: float = 1e-6
    vision_learning_rate: float | None = None
    projector_learning_rate: float | None = None
    min_learning_rate_ratio: float = 0.1
    schedule: Literal["cosine", "linear", "sqrt", "constant"] = "constant"
    decay_share: float = 1.0
    warmup_steps: int | None = None
    warmup_share: float | None = None
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    ema_every: int = 1
    dtype: Literal["float32", "bfloat16"] = "float32"
    save_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    lora: LoraConfig | None = None
    freeze_vision: bool = False
    freeze_language: bool = False
    gradient_checkpointing: bool = False
    compile: bool = False
    feed_workers: int = 0
    clips_gib: float | None = None
    cache: bool = False
    cache_folder: str | None = None
    eval_every: int = 50
    save_every: int = 50
    keep_checkpoints: int = 2
    patience: int | None = None
    min_improvement: float = 0.0
    seed: int = 0

    @property
    def prompts_per_step(self) -> int:
        """Prompts whose groups make up a step."""
        return max(1, self.rollouts_per_step // self.group_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalConfig:
    """One evaluation."""

    sampling: Sampling = Sampling()
    decoding: Decoding = "posterior"
    wrong_video_control: bool = True
    """Ask the same questions about another clip of the same kind: what remains is not seen."""
    blind_control: bool = False
    """Ask the same questions without any clip: what remains is known, or guessed from the words."""
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
    grpo: GRPOConfig = GRPOConfig()
    """Its `rewards` are those of every training that names none."""
    success: str
    """The goal in words, for the report."""
    targets: dict[str, float]
    """Metric key -> the value at which the recipe counts as solved."""
