"""Losses of reinforcement learning as pure functions of log-probabilities.

Shapes: B answers of up to T tokens each, padded. Every function treats every token by itself; how
tokens are summed up is the business of `token_weights`.
"""

from collections.abc import Sequence
from typing import Literal

import torch

ROUNDING = 1e-3
"""Nats."""
Averaging = Literal["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"]


def importance_ratio(logp_BT: torch.Tensor, old_logp_BT: torch.Tensor) -> torch.Tensor:
    """p(token) now over p(token) when the step began, (B, T)."""
    return torch.exp(logp_BT - old_logp_BT)


def truncated_weights(
    old_logp_BT: torch.Tensor, drawn_logp_BT: torch.Tensor, cap: float
) -> torch.Tensor:
    """What corrects for tokens that were drawn from slightly other probabilities, (B, T).

    min(p_trainer / p_sampler, cap): truncated importance weights (Ionides 2008; Espeholt et al. 2018,
    IMPALA, arXiv:1802.01561), between the engine that draws and the trainer as in Yao et al. 2025, "Your
    Efficient RL Framework Secretly Brings You Off-Policy RL Training". Differences within `ROUNDING`
    count as none: two ways to compute the same number do not agree to the last bit, from one run to
    the next not even with themselves.

    Args:
        old_logp_BT: by the trainer, with the weights of before the first update.
        drawn_logp_BT: as the sampler told them.
        cap: above 0.
    """
    gap_BT = old_logp_BT - drawn_logp_BT
    weights_BT = torch.exp(gap_BT).clamp(max=cap)
    return torch.where(gap_BT.abs() <= ROUNDING, torch.ones_like(weights_BT), weights_BT)


def clipped_loss(
    ratio_BT: torch.Tensor,
    advantages_B: torch.Tensor,
    *,
    epsilon_low: float,
    epsilon_high: float,
    dual_clip: float,
) -> torch.Tensor:
    """The clipped surrogate, negated so that it is minimised, (B, T).

    max(-r A, -clip(r, 1 - low, 1 + high) A): Schulman et al. 2017, PPO (arXiv:1707.06347), eq. 7, with
    two bounds as in Yu et al. 2025, DAPO (arXiv:2503.14476), eq. 10. Where the advantage is negative it
    is at most -`dual_clip` A: Ye et al. 2020 (arXiv:1912.09729), eq. 5; a token that has become much
    more likely than it was would otherwise have a loss without bound.

    Args:
        ratio_BT: see `importance_ratio`.
        advantages_B: one for each answer, the same for all its tokens.
        epsilon_low: 0 to 1.
        epsilon_high: 0 or more.
        dual_clip: 1 or more; infinite turns it off.
    """
    advantages_B1 = advantages_B[:, None]
    free_BT = -ratio_BT * advantages_B1
    clipped_BT = -ratio_BT.clamp(1 - epsilon_low, 1 + epsilon_high) * advantages_B1
    loss_BT = torch.maximum(free_BT, clipped_BT)
    bound_B1 = -dual_clip * advantages_B1
    return torch.where(advantages_B1 < 0, torch.minimum(loss_BT, bound_B1), loss_BT)


def is_clipped(
    ratio_BT: torch.Tensor,
    advantages_B: torch.Tensor,
    *,
    epsilon_low: float,
    epsilon_high: float,
    dual_clip: float,
) -> torch.Tensor:
    """Where `clipped_loss` is flat, so that nothing is learned from the token: bool (B, T)."""
    advantages_B1 = advantages_B[:, None]
    above = (ratio_BT > 1 + epsilon_high) & (advantages_B1 > 0)
    below = (ratio_BT < 1 - epsilon_low) & (advantages_B1 < 0)
    return above | below | ((ratio_BT > dual_clip) & (advantages_B1 < 0))


def k3(logp_BT: torch.Tensor, reference_logp_BT: torch.Tensor) -> torch.Tensor:
    """Estimate of KL(policy || reference) from the drawn tokens, (B, T), nats, never negative.

    q - log q - 1 with q = p_reference / p_policy: Schulman 2020, "Approximating KL divergence" (k3);
    Shao et al. 2024 (arXiv:2402.03300), eq. 4. Unbiased for tokens drawn from the policy.
    """
    log_q_BT = reference_logp_BT - logp_BT
    return torch.exp(log_q_BT) - log_q_BT - 1


def token_weights(
    mask_BT: torch.Tensor, averaging: Averaging, num_tokens: int, num_answers: int
) -> torch.Tensor:
    """What each token's loss is multiplied with, (B, T), so that the sum is the loss of the step.

    `token-mean`: the mean over all tokens of the step (DAPO, eq. 12). `seq-mean-token-sum`: the mean over
    answers of the sum over tokens (Liu et al. 2025, arXiv:2503.20783, but for a constant).
    `seq-mean-token-mean`: the mean over answers of the mean over tokens (DeepSeekMath, eq. 3).

    Args:
        mask_BT: bool, tokens that are learned from.
        averaging: see above.
        num_tokens: learned from in the whole step, in all micro-batches and processes.
        num_answers: with such tokens, in the whole step.
    """
    if averaging == "token-mean":
        return mask_BT / max(1, num_tokens)
    weights_BT = mask_BT / max(1, num_answers)
    if averaging == "seq-mean-token-mean":
        weights_BT = weights_BT / mask_BT.sum(1, keepdim=True).clamp(min=1)
    return weights_BT


def padded_choices(allowed: Sequence[Sequence[int]]) -> torch.Tensor:
    """The tokens that could be chosen at each of N places, int64 (N, A), -1 where there are fewer."""
    most = max(len(tokens) for tokens in allowed)
    return torch.tensor([[*tokens, *[-1] * (most - len(tokens))] for tokens in allowed])


def chosen_log_p(
    logits_NV: torch.Tensor,
    tokens_N: torch.Tensor,
    allowed_NA: torch.Tensor | None = None,
    temperature: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of chosen tokens, and the entropy of the choice (without gradient), nats.

    Args:
        logits_NV: (N, vocabulary); computed on in float32.
        tokens_N: int64, one of the allowed tokens each.
        allowed_NA: see `padded_choices`: probabilities are then those among these tokens alone, as a
            constrained answer draws them; None: among all.
        temperature: divides the logits.

    Returns:
        (N,) and (N,).
    """
    scores_NA, places_N1 = logits_NV.float() / temperature, tokens_N[:, None]
    if allowed_NA is not None:
        scores_NA = scores_NA.gather(1, allowed_NA.clamp(min=0))
        scores_NA = scores_NA.masked_fill(allowed_NA < 0, -torch.inf)
        places_N1 = (allowed_NA == tokens_N[:, None]).int().argmax(1, keepdim=True)
    log_p_NA = torch.log_softmax(scores_NA, dim=1)
    sure_NA = log_p_NA.detach()
    entropy_N = -(sure_NA.exp() * sure_NA.masked_fill(sure_NA == -torch.inf, 0)).sum(1)
    return log_p_NA.gather(1, places_N1)[:, 0], entropy_N
