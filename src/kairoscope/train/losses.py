"""Losses as pure functions."""

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

MOST_LOGITS = 2**27
"""Logits that are held at a time (0.5 GiB in float32): 882 tokens of a vocabulary of 152,064."""


def answer_loss_sum(logits_NV: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of the answer's tokens, summed (nats).

    Summed, not averaged: the caller divides by the tokens of the whole optimiser step, so that
    the gradient does not depend on how the step was split into micro-batches.

    Args:
        logits_NV: float (num_tokens, vocabulary), row i predicts token i of the answers.
        targets_N: int64 (num_tokens,).
    """
    return cross_entropy(logits_NV.float(), targets_N, reduction="sum")


def head_loss_sum(
    head: Callable[[torch.Tensor], torch.Tensor],
    hidden_ND: torch.Tensor,
    targets_N: torch.Tensor,
    rows_at_once: int,
) -> torch.Tensor:
    """`answer_loss_sum` of `head(hidden_ND)`, which never exists as a whole.

    Up to `rows_at_once` tokens it is a single call; of more, the logits of one part at a time are
    made, and made again in the backward pass.
    """
    if len(targets_N) <= rows_at_once:
        return answer_loss_sum(head(hidden_ND), targets_N)

    def part(hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return answer_loss_sum(head(hidden), targets)

    total = hidden_ND.new_zeros((), dtype=torch.float32)
    for first in range(0, len(targets_N), rows_at_once):
        rows = slice(first, first + rows_at_once)
        hidden, targets = hidden_ND[rows], targets_N[rows]
        total = total + checkpoint(part, hidden, targets, use_reentrant=False)
    return total
