"""Supervised fine-tuning: one flat loop."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, Task, UserError
from kairoscope.models.chat import Encoder, video_inputs
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.train.clips import DENSITY, ClipStore, Rejected
from kairoscope.train.examples import Clip, Example, plain_example, varied_example
from kairoscope.train.held_out import held_out_score
from kairoscope.train.losses import answer_loss_sum
from kairoscope.train.schedule import batches, learning_rate, num_steps
from kairoscope.train.state import TrainState, load_latest, save_best, save_state
from kairoscope.train.trainable import Trained, prepare

Log = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTResult:
    """What a run came to."""

    best_step: int
    best_score: float
    num_steps: int
    rejected: tuple[Rejected, ...]
    checkpoint: Path
    """Folder of the best checkpoint, which transformers loads."""


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


def sft(
    checkpoint: Checkpoint,
    task: Task[Any, Any],
    train: Sequence[Sample[Any, Any]],
    held_out: Sequence[Sample[Any, Any]],
    *,
    policy: FramePolicy,
    config: SFTConfig,
    out: Path,
    log: Log,
    on_check: Callable[[int, int], None] | None = None,
) -> SFTResult:
    """Fine-tune a checkpoint on samples; run again after a kill to go on where it stopped.

    Args:
        checkpoint: the starting point; its network is trained in place.
        task: gives prompts, targets, and the metric on the held-out samples.
        train: samples with gold answers.
        held_out: samples of other groups, for choosing the best checkpoint.
        policy: frames that the model sees, in training and evaluation alike.
        config: see `SFTConfig`.
        out: folder for checkpoints (`state/`, `best/`).
        log: takes one row an optimiser step and one an evaluation.
        on_check: progress of the check before the first step.
    """
    encoder = checkpoint.encoder
    store = ClipStore(policy, encoder.geometry, dense=config.augment)

    def examine(sample: Sample[Any, Any], clip: Clip) -> str | None:
        length = plain_example(encoder, task, sample, _thinned(clip, config), policy).num_tokens
        if length > config.max_tokens:
            return f"{length} tokens, more than max_tokens = {config.max_tokens}"
        return None

    samples, rejected = store.check(train, examine, on_check)
    log({"kind": "check", "kept": len(samples), "rejected": [asdict(r) for r in rejected]})
    if not samples:
        raise UserError("no sample is left to train on; see the reasons above in the log")
    steps = num_steps(config, len(samples))
    trained = prepare(checkpoint.network, config)
    state = load_latest(out, trained) or TrainState()
    feed = _examples(encoder, task, samples, store, policy, config, state.step)
    for step in range(state.step, steps):
        started = time.perf_counter()
        rate = learning_rate(config, step, steps)
        row = _optimise(trained, encoder, next(feed), config, rate)
        state.step = step + 1
        seconds = time.perf_counter() - started
        log({"kind": "step", "step": step + 1, "of": steps, **row, "seconds": seconds})
        last = state.step == steps
        if held_out and (state.step % config.eval_every == 0 or last):
            score = held_out_score(checkpoint, task, held_out, policy)
            log({"kind": "held_out", "step": state.step, **score})
            if state.improves(score[task.headline], task):
                state.best_step, state.best_score = state.step, score[task.headline]
                save_best(out, trained, checkpoint, policy, state, config)
        if state.step % config.save_every == 0 or last:
            save_state(out, trained, state, config.keep_checkpoints)
    if state.best_step is None:
        state.best_step, state.best_score = state.step, float("nan")
        save_best(out, trained, checkpoint, policy, state, config)
    return SFTResult(
        best_step=state.best_step,
        best_score=float("nan") if state.best_score is None else state.best_score,
        num_steps=steps,
        rejected=tuple(rejected),
        checkpoint=out / "best",
    )


def _thinned(clip: Clip, config: SFTConfig) -> Clip:
    """The frames that the policy itself would take of a densely kept clip, near enough to count."""
    if not config.augment:
        return clip
    return Clip(pictures_THWC=clip.pictures_THWC[::DENSITY], times_s=clip.times_s[::DENSITY])


def _examples(
    encoder: Encoder,
    task: Task[Any, Any],
    samples: Sequence[Sample[Any, Any]],
    store: ClipStore,
    policy: FramePolicy,
    config: SFTConfig,
    first_step: int,
) -> Iterator[list[Example]]:
    """The examples of every step from `first_step` on, made one step ahead in a thread."""

    def make(step: int, indices: Sequence[int]) -> list[Example]:
        examples = []
        for place, index in enumerate(indices):
            sample, clip = samples[index], store.get(samples[index])
            if config.augment:
                seed = f"{config.seed}/{step}/{place}"
                examples.append(varied_example(encoder, task, sample, clip, policy, seed))
            else:
                examples.append(plain_example(encoder, task, sample, clip, policy))
        return sorted(examples, key=lambda example: example.num_tokens)

    order = enumerate(batches(config, len(samples), first_step), first_step)
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(make, *next(order))
        for following in order:
            ready = ahead.result()
            ahead = pool.submit(make, *following)
            yield ready


def _optimise(
    trained: Trained, encoder: Encoder, examples: Sequence[Example], config: SFTConfig, rate: float
) -> dict[str, float]:
    """One optimiser step over a batch, in micro-batches. Returns what is worth logging."""
    num_answer = sum(len(example.answer_ids) for example in examples)
    num_dense = sum(len(example.dense) for example in examples) if config.dense_weight else 0
    for group in trained.optimizer.param_groups:
        group["lr"] = rate
    answer_total = dense_total = 0.0
    device_type = trained.network.device.type
    for start in range(0, len(examples), config.micro_batch_size):
        micro = examples[start : start + config.micro_batch_size]
        with torch.autocast(device_type, torch.bfloat16, enabled=config.dtype == "bfloat16"):
            answer_sum, dense_sum = forward_losses(
                trained.network, encoder, micro, with_dense=num_dense > 0
            )
        loss = answer_sum / num_answer
        if num_dense:
            loss = loss + config.dense_weight * dense_sum / num_dense
        loss.backward()  # type: ignore[no-untyped-call]
        answer_total += answer_sum.item()
        dense_total += dense_sum.item()
    norm = torch.nn.utils.clip_grad_norm_(trained.parameters, config.max_grad_norm)
    trained.optimizer.step()
    trained.optimizer.zero_grad(set_to_none=True)
    return {
        "loss": answer_total / num_answer,
        "dense_loss": dense_total / max(1, num_dense),
        "learning_rate": rate,
        "grad_norm": norm.item(),
        "tokens": sum(example.num_tokens for example in examples),
    }
