"""The second half of a step: the answers change the weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from kairoscope.config import GRPOConfig
from kairoscope.core import UserError
from kairoscope.models.chat import films
from kairoscope.models.forward import Seen, look
from kairoscope.train.answering import AnsweredGroup, computing
from kairoscope.train.branches import Branches, branches, log_probabilities
from kairoscope.train.group import ALONE, Group
from kairoscope.train.optimise import apply_gradients, set_rate
from kairoscope.train.policy_losses import (
    clipped_loss,
    importance_ratio,
    is_clipped,
    k3,
    token_weights,
    truncated_weights,
)
from kairoscope.train.reference import Reference
from kairoscope.train.trainable import Trained
from kairoscope.video.sampling import PatchGeometry

SUMS = ("loss", "kl", "entropy", "clip_share", "sampler_gap", "truncated_share")
"""What is summed over micro-batches: the loss, and of every learned choice its k3, entropy, whether it
was clipped, how far the drawn log-probability is from the one computed here, and whether its importance
weight was truncated."""


class Totals(NamedTuple):
    """Of a step, in all its groups and processes."""

    tokens: int
    """Choices that are learned from."""
    answers: int
    """With such choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """Optimiser steps on groups of answers."""

    trained: Trained
    geometry: PatchGeometry
    config: GRPOConfig
    reference: Reference | None
    group: Group = ALONE
    importance_cap: float | None = None
    """Of the weights of choices that were not drawn by this process; None: they were."""

    def __call__(self, groups: Sequence[AnsweredGroup], rate: float) -> dict[str, float]:
        """Change the weights `inner_updates` times; returns what is worth logging.

        Groups whose rewards are equal are passed over. Losses are those of all processes together.

        Raises:
            UserError: loss or gradient is not a number, or the GPU's memory is too small.
        """
        each = [group.counts() for group in groups]
        mine = [sum(tokens for tokens, _ in each), sum(answers for _, answers in each)]
        totals = Totals(*map(sum, zip(*self.group.counts(*mine), strict=True)))
        row = {"learning_rate": rate, "learned_tokens": float(totals.tokens)}
        logged = [n for n in SUMS if n != "truncated_share" or self.importance_cap is not None]
        if not totals.tokens:
            return row | dict.fromkeys((*logged, "grad_norm"), 0.0)
        set_rate(self.trained, rate)
        sums, norms = [], []
        for _ in range(self.config.inner_updates):
            found = torch.zeros(len(SUMS), device=self.trained.network.device)
            for group in groups:
                if group.advantages is not None:
                    found += self._group(group, totals)
            sums.append(self.group.add(found).tolist())
            norms.append(self._apply(sums[-1][0]))
        means = dict(zip(SUMS, map(_mean, zip(*sums, strict=True)), strict=True))
        # The loss is a sum of weighted tokens already.
        per_token = {name: means[name] / totals.tokens for name in logged if name != "loss"}
        return row | {"loss": means["loss"], "grad_norm": _mean(norms), **per_token}

    def _apply(self, loss: float) -> float:
        """Change the weights. A process that had nothing to learn from takes part with nothing."""
        for parameter in self.trained.parameters:
            if parameter.grad is None and self.group.size > 1:
                parameter.grad = torch.zeros_like(parameter)
        return apply_gradients(self.trained, self.config.max_grad_norm, loss, self.group)

    def _group(self, group: AnsweredGroup, totals: Totals) -> torch.Tensor:
        """Add a group's share to the gradients; returns its sums (see `SUMS`).

        The vision tower looks at the prompt once: gradients of all micro-batches meet at what it said,
        and go through it together.
        """
        size = self.config.micro_batch_size
        parts = [
            range(first, min(first + size, len(group.rollouts)))
            for first in range(0, len(group.rollouts), size)
        ]
        try:
            seen, leaves = self._seen(group)
            if not group.old_log_p:
                self._look_back(group, parts, leaves)
            found = torch.zeros(len(SUMS), device=self.trained.network.device)
            for number, answers in enumerate(parts):
                found += self._micro(group, number, answers, leaves, totals)
            said, cut = _tensors(seen), _tensors(leaves)
            if said[0].requires_grad:
                torch.autograd.backward(said, [leaf.grad for leaf in cut])
        except torch.OutOfMemoryError as error:
            raise UserError(self._too_small(group)) from error
        return found

    def _seen(self, group: AnsweredGroup) -> tuple[Seen, Seen]:
        """What the tower says of a prompt, and the same where the way back through it is cut."""
        if group.seen is not None:
            return group.seen, group.seen
        seen = self._look(self.trained.network, group)
        features, *deep = (t.detach().requires_grad_(t.requires_grad) for t in _tensors(seen))
        return seen, Seen(features_ND=features, deep_KND=tuple(deep))

    def _look(self, network: Any, group: AnsweredGroup) -> Seen:
        with computing(network, self.config):
            shown = films([group.prompted.asked.encoded], self.geometry)
            return look(network, shown, self.geometry)

    @torch.no_grad()
    def _look_back(self, group: AnsweredGroup, parts: Sequence[range], seen: Seen) -> None:
        """Keep what the weights from before the first step say of the answers, if that is needed."""
        if self.reference is None:
            return
        with self.reference.as_it_was() as network:
            if self.reference.is_copy and group.seen is None:
                seen = self._look(network, group)
            for answers in parts:
                given = _given(group, answers)
                group.reference_log_p.append(self._log_p(network, given, seen)[0])

    def _log_p(
        self, network: Any, given: Branches, seen: Seen
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with computing(network, self.config):
            return log_probabilities(network, given, seen, self.config.policy_temperature)

    def _micro(
        self, group: AnsweredGroup, number: int, answers: range, seen: Seen, totals: Totals
    ) -> torch.Tensor:
        """Some answers of a group, forward and backward."""
        config = self.config
        given = _given(group, answers)
        log_p_N, entropy_N = self._log_p(self.trained.network, given, seen)
        if len(group.old_log_p) == number:
            group.old_log_p.append(log_p_N.detach())
        device = log_p_N.device
        learned_N = torch.tensor([x for a in answers for x in group.learned(a)], device=device)
        mask_BT = given.padded(learned_N)
        assert group.advantages is not None
        advantages_B = torch.tensor([group.advantages[a] for a in answers], device=device)
        logp_BT = given.padded(log_p_N)
        old_BT = given.padded(group.old_log_p[number])
        ratio_BT = importance_ratio(logp_BT, old_BT)
        bounds = {
            "epsilon_low": config.epsilon_low,
            "epsilon_high": config.epsilon_high,
            "dual_clip": config.dual_clip,
        }
        loss_BT = clipped_loss(ratio_BT, advantages_B, **bounds)
        drawn_BT = given.padded(torch.tensor(group.drawn_log_p(answers), device=device))
        truncated_BT = torch.zeros_like(mask_BT)
        if self.importance_cap is not None:
            weights_BT = truncated_weights(old_BT, drawn_BT, self.importance_cap)
            truncated_BT = weights_BT >= self.importance_cap
            loss_BT = loss_BT * weights_BT
        kl_BT = torch.zeros_like(loss_BT)
        if self.reference is not None:
            kl_BT = k3(logp_BT, given.padded(group.reference_log_p[number]))
            loss_BT = loss_BT + config.kl_beta * kl_BT
        loss = (token_weights(mask_BT, config.loss, *totals) * loss_BT).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        clipped_BT = is_clipped(ratio_BT, advantages_B, **bounds)
        sums = (
            loss,
            (kl_BT * mask_BT).sum(),
            (entropy_N * learned_N).sum(),
            (clipped_BT & mask_BT).sum(),
            ((old_BT - drawn_BT).abs() * mask_BT).sum(),
            (truncated_BT & mask_BT).sum(),
        )
        return torch.stack([value.detach().float() for value in sums])

    def _too_small(self, group: AnsweredGroup) -> str:
        config = self.config
        longest = max(len(rollout.token_ids) for rollout in group.rollouts)
        ways = [
            f"micro_batch_size below {config.micro_batch_size}"
            if config.micro_batch_size > 1
            else "",
            "" if config.gradient_checkpointing else "gradient_checkpointing = true",
            "" if config.dtype == "bfloat16" else 'dtype = "bfloat16"',
            "" if config.lora else "adapters (lora.rank = 16)",
            f"max_new_tokens below {config.max_new_tokens}",
            "fewer pixels (frames total_pixels or fps)",
        ]
        return (
            f"the GPU's memory is too small for {min(config.micro_batch_size, config.group_size)} "
            f"answers of up to {longest} tokens to a prompt of "
            f"{len(group.prompted.asked.encoded.token_ids)}; try " + ", ".join(filter(None, ways))
        )


def _given(group: AnsweredGroup, answers: range) -> Branches:
    rollouts = [group.rollouts[answer] for answer in answers]
    return branches(group.prompted.asked.encoded, rollouts)


def _tensors(seen: Seen) -> list[torch.Tensor]:
    return [seen.features_ND, *seen.deep_KND]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
