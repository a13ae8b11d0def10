"""The prompts of every step, made ahead of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch
from torch.utils.data import Dataset

from kairoscope.config import GRPOConfig
from kairoscope.core import FramePolicy, Sample, Task
from kairoscope.models.chat import Encoder, text_ids
from kairoscope.models.constrain import compile_template
from kairoscope.models.forward import Seen
from kairoscope.train.clips import Clips
from kairoscope.train.examples import plain_example
from kairoscope.train.group import ALONE, Group
from kairoscope.train.mixing import Strata, batch_indices
from kairoscope.train.rollouts import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """One prompt of a step."""

    place: int
    """Which prompt of the step it is, among all processes."""
    sample: Sample[Any, Any]
    asked: Asked
    seen: Seen | None = None
    """What the vision tower said of it, where that is kept on disk; there are no pictures then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFeed(Dataset[list[Prompted]]):
    """Item i is this process's prompts of step i: it depends on i, not on where a run began."""

    encoder: Encoder
    task: Task[Any, Any]
    samples: Sequence[Sample[Any, Any]]
    store: Clips
    policy: FramePolicy
    config: GRPOConfig
    strata: Strata
    """Who comes how often."""
    group: Group = ALONE

    def __getitem__(self, step: int) -> list[Prompted]:
        """See the class. Raises UnreadableClip."""
        config = self.config
        indices = batch_indices(self.strata, config.seed, config.prompts_per_step, step)
        places = self.group.share(list(enumerate(indices)))
        return [self._prompted(place, self.samples[index]) for place, index in places]

    def _prompted(self, place: int, sample: Sample[Any, Any]) -> Prompted:
        """A prompt with the pictures that supervised training and evaluation would show."""
        clip = self.store.get(sample)
        made = plain_example(self.encoder, self.task, sample, clip, self.policy)
        room = self.config.max_tokens - len(made.encoded.token_ids)
        pieces = None
        if self.config.decoding == "constrained":
            template = self.task.template(sample.query, clip.times_s)
            pieces = compile_template(template, lambda text: text_ids(self.encoder, text))
        limit = max(1, min(self.config.max_new_tokens, room))
        asked = Asked(encoded=made.encoded, limit=limit, pieces=pieces)
        return Prompted(place=place, sample=sample, asked=asked, seen=made.seen)


def answer_generators(config: GRPOConfig, step: int, place: int) -> list[torch.Generator]:
    """Randomness of a group's answers: of its own, wherever and beside whatever they are drawn."""
    made = []
    for number in range(config.group_size):
        digest = sha256(f"{config.seed}/{step}/{place}/{number}".encode()).digest()
        made.append(torch.Generator().manual_seed(int.from_bytes(digest[:7], "big")))
    return made
