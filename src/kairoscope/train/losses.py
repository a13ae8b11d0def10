"""Losses as pure functions."""

import torch
from torch.nn.functional import cross_entropy


def answer_loss_sum(logits_NV: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of the answer's tokens, summed (nats).

    Summed, not averaged: the caller divides by the tokens of the whole optimiser step, so that
    the gradient does not depend on how the step was split into micro-batches.

    Args:
        logits_NV: float (num_tokens, vocabulary), row i predicts token i of the answers.
        targets_N: int64 (num_tokens,).
    """
    return cross_entropy(logits_NV.float(), targets_N, reduction="sum")
