"""What a step of reinforcement learning takes, before anything is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from kairoscope.config import GRPOConfig, Recipe
from kairoscope.core import FramePolicy, Sample
from kairoscope.models.checkpoint import read_policy
from kairoscope.models.names import whole_folder_of
from kairoscope.recipes.machines import GIB
from kairoscope.recipes.planning import read_network_config, small_folder
from kairoscope.recipes.sizes import measured, token_counter
from kairoscope.recipes.stages import Frames, policy_for
from kairoscope.train.grpo_check import training_part
from kairoscope.train.rehearsal import Kind, Memory, geometry_of, rehearse


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPOMemory:
    """Of one device, at the longest prompt, with answers as long as they may be; in bytes."""

    step: Memory
    """Of a micro-batch of answers to one prompt."""
    reference: int
    """A frozen copy of the weights; 0 where none is kept."""
    answering: int
    """Keys and values of all answers that are drawn in one call."""

    @property
    def peak(self) -> int:
        """The most at one time: answers are drawn before there are gradients."""
        held = self.step.weights + self.step.optimizer + self.reference
        return held + max(self.step.gradients + self.step.activations, self.answering)

    def __str__(self) -> str:
        parts = {
            "weights": self.step.weights,
            "gradients": self.step.gradients,
            "optimiser": self.step.optimizer,
            "activations": self.step.activations,
            "reference": self.reference,
            "drawing answers": self.answering,
        }
        words = ", ".join(f"{name} {size / GIB:.3g}" for name, size in parts.items() if size)
        return f"{self.peak / GIB:.3g} GiB at most, on each device ({words})"


def grpo_memory(
    recipe: Recipe,
    *,
    model: str,
    samples: Sequence[Sample[Any, Any]],
    config: GRPOConfig,
    frames: Frames,
) -> GRPOMemory | None:
    """Rehearse a step; reads small files of the model and headers of the clips.

    None where no sample can be trained on. Raises UserError for a model that is none.
    """
    folder = small_folder(model)
    network_config = read_network_config(folder)
    geometry = geometry_of(network_config)
    own: FramePolicy | None = read_policy(whole_folder_of(folder, small=True), recipe.task.name)
    shapes, _ = measured(
        recipe.task,
        [sample for sample in samples if sample.gold is not None],
        policy_for(recipe, own, frames),
        geometry,
        token_counter(folder),
        config.max_tokens,
        lambda *_: None,
    )
    if not shapes:
        return None
    longest = max(shapes, key=lambda shape: shape.num_tokens(geometry.merge))
    prompt = longest.num_tokens(geometry.merge) - longest.num_answer
    written = longest.num_answer
    if config.decoding == "free":
        written = max(1, min(config.max_new_tokens, config.max_tokens - prompt))
    together = min(config.micro_batch_size, config.group_size)
    micro = replace(longest, num_answer=together * written)
    kind: Kind = "cuda" if torch.cuda.is_available() else "cpu"
    found = rehearse(network_config, training_part(config), [micro], kind=kind, passes=2)
    a_token = found.memory.cache / micro.num_tokens(geometry.merge)
    rows = config.group_size * min(config.prompts_at_once, config.prompts_per_step)
    copied = config.kl_beta > 0 and config.lora is None
    return GRPOMemory(
        step=found.memory,
        reference=found.memory.weights if copied else 0,
        answering=round(a_token * (prompt + written) * rows),
    )
