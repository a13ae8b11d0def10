"""One optimiser step: a batch in micro-batches, forward and backward."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from kairoscope.config import SFTConfig
from kairoscope.core import UserError
from kairoscope.models.forward import look, read
from kairoscope.train.group import ALONE, Group
from kairoscope.train.losses import MOST_LOGITS, head_loss_sum
from kairoscope.train.micro import MicroBatch, Targets
from kairoscope.train.sharding import add_gradients, whole
from kairoscope.train.trainable import Trained
from kairoscope.video.sampling import PatchGeometry


def forward_losses(
    network: Any, geometry: PatchGeometry, micro: MicroBatch, *, with_dense: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed answer loss and summed dense loss of a micro-batch (nats).

    Sequences are padded on the right: with causal attention nothing real can see the padding.
    Logits are made only where there is a target.
    """
    seen = micro.seen or look(network, micro.films, geometry)
    hidden = read(network, micro.ids_BL, micro.positions_3BL, seen, micro.lengths)
    answer_sum = _loss_sum(network, hidden, micro.answer)
    if not with_dense or not len(micro.dense):
        return answer_sum, answer_sum.new_zeros(())
    return answer_sum, _loss_sum(network, hidden, micro.dense)


def _loss_sum(network: Any, hidden_BLD: torch.Tensor, targets: Targets) -> torch.Tensor:
    rows, columns, tokens = (
        x.to(hidden_BLD.device, non_blocking=True)
        for x in (targets.rows, targets.columns, targets.tokens)
    )
    at_once = max(1, MOST_LOGITS // network.config.get_text_config().vocab_size)
    return head_loss_sum(network.lm_head, hidden_BLD[rows, columns], tokens, at_once)


def optimise(
    trained: Trained,
    geometry: PatchGeometry,
    batch: Sequence[MicroBatch],
    config: SFTConfig,
    rate: float,
    group: Group = ALONE,
) -> dict[str, float]:
    """One optimiser step over a batch. Returns what is worth logging.

    The gradient is that of the mean loss a token over the whole batch, however it is split into
    micro-batches, and among the processes of `group`, each of which brings its part of the batch.

    Raises:
        UserError: loss or gradient is not a number (the weights are left as they were), or the
            GPU's memory is too small.
    """
    everyones = group.counts(
        len(batch),
        sum(len(micro.answer) for micro in batch),
        sum(len(micro.dense) for micro in batch) if config.dense_weight else 0,
        sum(micro.num_tokens for micro in batch),
    )
    _, num_answer, num_dense, num_tokens = map(sum, zip(*everyones, strict=True))
    set_rate(trained, rate)
    sums = torch.zeros(2, device=trained.network.device)
    for place in range(max(passes for passes, *_ in everyones)):
        # Weights that are shared out are put together by all at once: who has nothing left to do
        # does its last micro-batch again, for nothing.
        micro, counts = batch[min(place, len(batch) - 1)], place < len(batch)
        try:
            sums += _backward(trained, geometry, micro, config, num_answer, num_dense, counts)
        except torch.OutOfMemoryError as error:
            raise UserError(_too_small(micro, config)) from error
    # Read once a step: every reading waits until an accelerator has caught up.
    answer_total, dense_total = group.add(sums).tolist()
    norm = apply_gradients(trained, config.max_grad_norm, answer_total / num_answer, group)
    return {
        "loss": answer_total / num_answer,
        "dense_loss": dense_total / max(1, num_dense),
        "learning_rate": rate,
        "grad_norm": norm,
        "tokens": num_tokens,
    }


def set_rate(trained: Trained, rate: float) -> None:
    """Give every part of the network its learning rate, where the schedule's is `rate`."""
    for rates in trained.optimizer.param_groups:
        rates["lr"] = rate * rates["rate_scale"]


def apply_gradients(trained: Trained, max_norm: float, loss: float, group: Group = ALONE) -> float:
    """Sum gradients over the processes, limit their length, change the weights; returns the length.

    A collective call. `loss` is for the message alone.

    Raises:
        UserError: the gradient is not a number; the weights are left as they were.
    """
    if trained.sharded is None:
        add_gradients(trained.parameters, group)
    length = torch.nn.utils.clip_grad_norm_(trained.parameters, max_norm)
    norm: float = whole(length).item()
    if not math.isfinite(norm):
        trained.optimizer.zero_grad(set_to_none=True)
        raise UserError(
            f"training has diverged: loss {loss}, gradient norm {norm}; choose a smaller "
            "learning_rate or max_grad_norm and another --out"
        )
    trained.optimizer.step()
    trained.optimizer.zero_grad(set_to_none=True)
    return norm


def _backward(
    trained: Trained,
    geometry: PatchGeometry,
    micro: MicroBatch,
    config: SFTConfig,
    num_answer: int,
    num_dense: int,
    counts: bool,  # noqa: FBT001
) -> torch.Tensor:
    """Add a micro-batch's share to the gradients; returns its summed losses."""
    kind = trained.network.device.type
    work = partial(forward_losses, geometry=geometry, micro=micro, with_dense=num_dense > 0)
    # Weights are used once a pass: a cache of their casts would be another copy of the network.
    bfloat16 = config.dtype == "bfloat16"
    with torch.autocast(kind, torch.bfloat16, enabled=bfloat16, cache_enabled=False):
        answer_sum, dense_sum = trained.run(work)
    loss = answer_sum / num_answer
    if num_dense:
        loss = loss + config.dense_weight * dense_sum / num_dense
    (loss if counts else 0 * loss).backward()  # type: ignore[no-untyped-call]
    return torch.stack([answer_sum, dense_sum]).detach().float() * counts


def _too_small(micro: MicroBatch, config: SFTConfig) -> str:
    fewer = f"micro_batch_size below {config.micro_batch_size}"
    if config.packing:
        fewer = f"pack_tokens below {config.pack_tokens}" if micro.num_samples > 1 else ""
    ways = [
        fewer if config.packing or config.micro_batch_size > 1 else "",
        "" if config.gradient_checkpointing else "gradient_checkpointing = true",
        "" if config.dtype == "bfloat16" else 'dtype = "bfloat16"',
        "" if config.lora else "adapters (lora.rank = 16)",
        "fewer pixels (frames total_pixels or fps)",
    ]
    return (
        f"the GPU's memory is too small for {micro.num_samples} samples of up to "
        f"{max(micro.lengths, default=micro.ids_BL.shape[1])} tokens; try "
        + ", ".join(way for way in ways if way)
    )
