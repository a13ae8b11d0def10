"""One optimiser step: a batch in micro-batches, forward and backward."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from kairoscope.config import SFTConfig
from kairoscope.core import UserError
from kairoscope.models.chat import Encoder, video_inputs
from kairoscope.train.examples import Example
from kairoscope.train.losses import answer_loss_sum
from kairoscope.train.trainable import Trained


def forward_losses(
    network: Any, encoder: Encoder, examples: Sequence[Example], *, with_dense: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed answer loss and summed dense loss of a micro-batch (nats).

    Sequences are padded on the right: with causal attention nothing real can see the padding.
    Logits are made only where there is a target.
    """
    device = network.device
    longest = max(example.num_tokens for example in examples)
    ids = torch.zeros((len(examples), longest), dtype=torch.long)
    positions = torch.zeros((3, len(examples), longest), dtype=torch.long)
    rows: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    dense: list[tuple[int, int, int]] = []
    for row, example in enumerate(examples):
        prompt, answer = example.encoded, example.answer_ids
        start = len(prompt.token_ids)
        ids[row, : example.num_tokens] = torch.tensor(prompt.token_ids + answer)
        positions[:, row, :start] = prompt.positions_3L
        positions[:, row, start : example.num_tokens] = prompt.next_position + torch.arange(
            len(answer)
        )
        rows += [row] * len(answer)
        columns += range(start - 1, example.num_tokens - 1)
        targets += answer
        if with_dense:
            dense += [(row, column, token) for column, token in example.dense]
    hidden = network.model(
        input_ids=ids.to(device),
        position_ids=positions.to(device),
        use_cache=False,
        **video_inputs(encoder, [example.encoded for example in examples], device),
    ).last_hidden_state
    answer_logits = network.lm_head(hidden[rows, columns])
    answer_sum = answer_loss_sum(answer_logits, torch.tensor(targets, device=device))
    if not dense:
        return answer_sum, answer_sum.new_zeros(())
    dense_rows, dense_columns, dense_targets = zip(*dense, strict=True)
    dense_logits = network.lm_head(hidden[list(dense_rows), list(dense_columns)])
    return answer_sum, answer_loss_sum(dense_logits, torch.tensor(dense_targets, device=device))


def optimise(
    trained: Trained, encoder: Encoder, examples: Sequence[Example], config: SFTConfig, rate: float
) -> dict[str, float]:
    """One optimiser step over a batch. Returns what is worth logging.

    The gradient is that of the mean loss a token over the whole batch, however it is split into
    micro-batches.

    Raises:
        UserError: loss or gradient is not a number (the weights are left as they were), or the
            GPU's memory is too small.
    """
    num_answer = sum(len(example.answer_ids) for example in examples)
    num_dense = sum(len(example.dense) for example in examples) if config.dense_weight else 0
    for group in trained.optimizer.param_groups:
        group["lr"] = rate
    answer_total = dense_total = 0.0
    for start in range(0, len(examples), config.micro_batch_size):
        micro = examples[start : start + config.micro_batch_size]
        try:
            answer_sum, dense_sum = _backward(
                trained, encoder, micro, config, num_answer, num_dense
            )
        except torch.OutOfMemoryError as error:
            raise UserError(_too_small(micro, config)) from error
        answer_total += answer_sum
        dense_total += dense_sum
    norm = torch.nn.utils.clip_grad_norm_(trained.parameters, config.max_grad_norm).item()
    if not math.isfinite(norm):
        trained.optimizer.zero_grad(set_to_none=True)
        raise UserError(
            f"training has diverged: loss {answer_total / num_answer}, gradient norm {norm}; choose "
            "a smaller learning_rate or max_grad_norm and another --out"
        )
    trained.optimizer.step()
    trained.optimizer.zero_grad(set_to_none=True)
    return {
        "loss": answer_total / num_answer,
        "dense_loss": dense_total / max(1, num_dense),
        "learning_rate": rate,
        "grad_norm": norm,
        "tokens": sum(example.num_tokens for example in examples),
    }


def _backward(
    trained: Trained,
    encoder: Encoder,
    micro: Sequence[Example],
    config: SFTConfig,
    num_answer: int,
    num_dense: int,
) -> tuple[float, float]:
    """Add a micro-batch's share to the gradients; returns its summed losses."""
    kind = trained.network.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=config.dtype == "bfloat16"):
        answer_sum, dense_sum = forward_losses(
            trained.network, encoder, micro, with_dense=num_dense > 0
        )
    loss = answer_sum / num_answer
    if num_dense:
        loss = loss + config.dense_weight * dense_sum / num_dense
    loss.backward()  # type: ignore[no-untyped-call]
    return answer_sum.item(), dense_sum.item()


def _too_small(micro: Sequence[Example], config: SFTConfig) -> str:
    longest = max(example.num_tokens for example in micro)
    ways = [
        f"micro_batch_size below {config.micro_batch_size}" if config.micro_batch_size > 1 else "",
        "" if config.gradient_checkpointing else "gradient_checkpointing = true",
        "" if config.dtype == "bfloat16" else 'dtype = "bfloat16"',
        "" if config.lora else "adapters (lora.rank = 16)",
        "fewer pixels (frames total_pixels or fps)",
    ]
    return (
        f"the GPU's memory is too small for {len(micro)} samples of up to {longest} tokens; try "
        + ", ".join(way for way in ways if way)
    )
