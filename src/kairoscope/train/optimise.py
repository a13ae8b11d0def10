"""One optimiser step: a batch in micro-batches, forward and backward."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from kairoscope.config import SFTConfig
from kairoscope.core import UserError
from kairoscope.models.chat import film_inputs
from kairoscope.train.losses import answer_loss_sum
from kairoscope.train.micro import MicroBatch, Targets
from kairoscope.train.trainable import Trained
from kairoscope.video.sampling import PatchGeometry


def forward_losses(
    network: Any, geometry: PatchGeometry, micro: MicroBatch, *, with_dense: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed answer loss and summed dense loss of a micro-batch (nats).

    Sequences are padded on the right: with causal attention nothing real can see the padding.
    Logits are made only where there is a target.
    """
    device = network.device
    hidden = network.model(
        input_ids=micro.ids_BL.to(device, non_blocking=True),
        position_ids=micro.positions_3BL.to(device, non_blocking=True),
        use_cache=False,
        **film_inputs(micro.films, geometry, device),
    ).last_hidden_state
    answer_sum = _loss_sum(network, hidden, micro.answer)
    if not with_dense or not len(micro.dense):
        return answer_sum, answer_sum.new_zeros(())
    return answer_sum, _loss_sum(network, hidden, micro.dense)


def _loss_sum(network: Any, hidden_BLD: torch.Tensor, targets: Targets) -> torch.Tensor:
    rows, columns, tokens = (
        x.to(hidden_BLD.device, non_blocking=True)
        for x in (targets.rows, targets.columns, targets.tokens)
    )
    return answer_loss_sum(network.lm_head(hidden_BLD[rows, columns]), tokens)


def optimise(
    trained: Trained,
    geometry: PatchGeometry,
    batch: Sequence[MicroBatch],
    config: SFTConfig,
    rate: float,
) -> dict[str, float]:
    """One optimiser step over a batch. Returns what is worth logging.

    The gradient is that of the mean loss a token over the whole batch, however it is split into
    micro-batches.

    Raises:
        UserError: loss or gradient is not a number (the weights are left as they were), or the
            GPU's memory is too small.
    """
    num_answer = sum(len(micro.answer) for micro in batch)
    num_dense = sum(len(micro.dense) for micro in batch) if config.dense_weight else 0
    for group in trained.optimizer.param_groups:
        group["lr"] = rate
    sums = torch.zeros(2, device=trained.network.device)
    for micro in batch:
        try:
            sums += _backward(trained, geometry, micro, config, num_answer, num_dense)
        except torch.OutOfMemoryError as error:
            raise UserError(_too_small(micro, config)) from error
    # Read once a step: every reading waits until an accelerator has caught up.
    answer_total, dense_total = sums.tolist()
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
        "tokens": sum(micro.num_tokens for micro in batch),
    }


def _backward(
    trained: Trained,
    geometry: PatchGeometry,
    micro: MicroBatch,
    config: SFTConfig,
    num_answer: int,
    num_dense: int,
) -> torch.Tensor:
    """Add a micro-batch's share to the gradients; returns its summed losses."""
    kind = trained.network.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=config.dtype == "bfloat16"):
        answer_sum, dense_sum = forward_losses(
            trained.network, geometry, micro, with_dense=num_dense > 0
        )
    loss = answer_sum / num_answer
    if num_dense:
        loss = loss + config.dense_weight * dense_sum / num_dense
    loss.backward()  # type: ignore[no-untyped-call]
    return torch.stack([answer_sum, dense_sum]).detach().float()


def _too_small(micro: MicroBatch, config: SFTConfig) -> str:
    ways = [
        f"micro_batch_size below {config.micro_batch_size}" if config.micro_batch_size > 1 else "",
        "" if config.gradient_checkpointing else "gradient_checkpointing = true",
        "" if config.dtype == "bfloat16" else 'dtype = "bfloat16"',
        "" if config.lora else "adapters (lora.rank = 16)",
        "fewer pixels (frames total_pixels or fps)",
    ]
    return (
        f"the GPU's memory is too small for {micro.num_samples} samples of up to {micro.ids_BL.shape[1]} tokens; try "
        + ", ".join(way for way in ways if way)
    )
