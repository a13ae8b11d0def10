"""The first half of a step: groups of answers are drawn and judged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

import torch

from kairoscope.config import GRPOConfig
from kairoscope.core import Task, Unparsed
from kairoscope.models.chat import films
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.models.forward import Seen, joined, look
from kairoscope.train.advantages import group_advantages, shared_prefixes
from kairoscope.train.prompts import Prompted, answer_generators
from kairoscope.train.rewards import Answered, Weights, reward_parts, total_reward
from kairoscope.train.rollouts import Drawing, Rollout, draw_groups

if TYPE_CHECKING:
    from kairoscope.train.served import ServedRollouts


@dataclass(slots=True, kw_only=True)
class AnsweredGroup:
    """A prompt with its answers and what they are worth."""

    prompted: Prompted
    rollouts: list[Rollout]
    texts: list[str]
    parts: list[dict[str, float]]
    """Every reward of each answer, without weights."""
    rewards: list[float]
    unparsed: int
    """Answers that could not be read."""
    advantages: tuple[float, ...] | None
    """None: all rewards are equal."""
    ignored: tuple[int, ...]
    """Tokens at the beginning of each answer that are not learned from."""
    seen: Seen | None
    """What a vision tower that is not trained says of the prompt; None: ask it."""
    old_log_p: list[torch.Tensor] = field(default_factory=list)
    """Of the choices, micro-batch by micro-batch, before the first update."""
    reference_log_p: list[torch.Tensor] = field(default_factory=list)

    def drawn_log_p(self, answers: Iterable[int]) -> list[float]:
        """Of the choices of some answers, as they were drawn."""
        return [p for answer in answers for p in self.rollouts[answer].log_p]

    def learned(self, answer: int) -> list[bool]:
        """Which choices of an answer are learned from."""
        first = self.ignored[answer]
        return [place >= first for place in self.rollouts[answer].choices]

    def counts(self) -> tuple[int, int]:
        """Choices that are learned from, and answers that have such."""
        if self.advantages is None:
            return 0, 0
        each = [sum(self.learned(answer)) for answer in range(len(self.rollouts))]
        return sum(each), sum(count > 0 for count in each)

    def summary(self) -> dict[str, Any]:
        """Plain numbers, to be put together with those of other groups."""
        return {
            "reward": fmean(self.rewards),
            "spread": pstdev(self.rewards),
            "parts": {name: fmean(p[name] for p in self.parts) for name in self.parts[0]},
            "dropped": float(self.advantages is None),
            "tokens": fmean(len(rollout.token_ids) for rollout in self.rollouts),
            "unparsed": self.unparsed / len(self.rollouts),
            "unfinished": fmean(not rollout.finished for rollout in self.rollouts),
            "distinct": len(set(self.texts)) / len(self.texts),
        }

    def shown(self) -> dict[str, Any]:
        """The best and the worst answer, for a reader."""
        ranked = sorted(range(len(self.texts)), key=lambda i: (-self.rewards[i], i))
        return {
            "sample_id": self.prompted.sample.id,
            "answers": [
                {"text": self.texts[i], "reward": self.rewards[i], "parts": self.parts[i]}
                for i in dict.fromkeys((ranked[0], ranked[-1]))
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Draws and judges the answers of a step."""

    checkpoint: Checkpoint
    """In training; its network has the present weights."""
    task: Task[Any, Any]
    config: GRPOConfig
    weights: Weights
    sees_once: bool
    """The vision tower is not trained: what it says is kept for the whole step."""
    served: "ServedRollouts | None" = None
    """Where answers are drawn; None: in this process."""

    def __call__(self, prompts: Sequence[Prompted], step: int) -> list[AnsweredGroup]:
        """Groups of answers to the prompts of optimiser step `step`, from 0."""
        network, size = self.checkpoint.network, self.config.prompts_at_once
        if self.served is not None:
            size = max(1, len(prompts))
        network.eval()
        groups: list[AnsweredGroup] = []
        for first in range(0, len(prompts), size):
            groups += self._groups(prompts[first : first + size], step)
        network.train()
        return groups

    def _groups(self, prompts: Sequence[Prompted], step: int) -> list[AnsweredGroup]:
        with computing(self.checkpoint.network, self.config):
            seen = [self._look(prompted) for prompted in prompts] if self.sees_once else []
            if self.served is not None:
                drawn = self.served.draw(prompts, step)
            else:
                drawn = self._drawn(prompts, step, joined(seen) if seen else None)
        places: Sequence[Seen | None] = seen or [None] * len(prompts)
        return [self._judged(*one) for one in zip(prompts, drawn, places, strict=True)]

    def _drawn(
        self, prompts: Sequence[Prompted], step: int, seen: Seen | None
    ) -> list[list[Rollout]]:
        """Answers from the network in this process."""
        config = self.config
        drawing = Drawing(
            group_size=config.group_size,
            temperature=config.temperature,
            top_p=config.top_p,
            policy_temperature=config.policy_temperature,
        )
        return draw_groups(
            self.checkpoint.network,
            self.checkpoint.encoder,
            [prompted.asked for prompted in prompts],
            seen,
            drawing,
            stop_ids=self.checkpoint.stop_ids,
            generators=[g for p in prompts for g in answer_generators(config, step, p.place)],
        )

    def _look(self, prompted: Prompted) -> Seen:
        return looked_at(self.checkpoint, prompted)

    def _judged(
        self, prompted: Prompted, rollouts: list[Rollout], seen: Seen | None
    ) -> AnsweredGroup:
        texts = [self._text(rollout) for rollout in rollouts]
        values = [self.task.parse(prompted.sample.query, text) for text in texts]
        parts = [
            reward_parts(
                Answered(task=self.task, sample=prompted.sample, text=text, value=value),
                self.weights,
            )
            for text, value in zip(texts, values, strict=True)
        ]
        rewards = [total_reward(part, self.weights) for part in parts]
        least = self.config.shared_prefix_tokens
        ignored = (0,) * len(rollouts)
        if least is not None:
            ignored = shared_prefixes([r.token_ids for r in rollouts], rewards, least)
        return AnsweredGroup(
            prompted=prompted,
            rollouts=rollouts,
            texts=texts,
            parts=parts,
            rewards=rewards,
            unparsed=sum(isinstance(value, Unparsed) for value in values),
            advantages=group_advantages(rewards, scale=self.config.scale_advantages),
            ignored=ignored,
            seen=seen,
        )

    def _text(self, rollout: Rollout) -> str:
        """The answer as an evaluation would have it: without the token that ends it."""
        stop_ids = self.checkpoint.stop_ids
        written = [token for token in rollout.token_ids if token not in stop_ids]
        text: str = self.checkpoint.encoder.tokenizer.decode(written, skip_special_tokens=False)
        return text


@torch.no_grad()
def looked_at(checkpoint: Checkpoint, prompted: Prompted) -> Seen:
    """What the vision tower says of a prompt, or has said where that is kept."""
    if prompted.seen is not None:
        return prompted.seen
    geometry = checkpoint.encoder.geometry
    return look(checkpoint.network, films([prompted.asked.encoded], geometry), geometry)


def computing(network: Any, config: GRPOConfig) -> Any:
    """The precision of the run: of drawing and of learning alike."""
    bfloat16 = config.dtype == "bfloat16"
    return torch.autocast(
        network.device.type, torch.bfloat16, enabled=bfloat16, cache_enabled=False
    )


def summed_up(groups: Sequence[dict[str, Any]], weights: Weights) -> dict[str, float]:
    """What a step's row says of all its answers, from `AnsweredGroup.summary` of every group."""
    row = {"reward": fmean(g["reward"] for g in groups)}
    row |= {f"reward_{name}": fmean(g["parts"][name] for g in groups) for name, _ in weights}
    row["reward_spread"] = fmean(g["spread"] for g in groups)
    row["dropped_groups"] = fmean(g["dropped"] for g in groups)
    row["answer_tokens"] = fmean(g["tokens"] for g in groups)
    for name in ("unparsed", "unfinished", "distinct"):
        row[name] = fmean(g[name] for g in groups)
    return row
