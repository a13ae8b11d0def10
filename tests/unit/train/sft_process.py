"""A training run in a process of its own, to be killed: python sft_process.py CLIPS OUT [STEP].

Kills itself in the middle of optimiser step STEP, as `kill -9` from outside would.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tiny_models import POLICY, SIZE, make_samples

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.models.checkpoint import load_checkpoint
from kairoscope.models.scratch import make_checkpoint
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train import optimise as optimise_module
from kairoscope.train.group import ALONE, Group
from kairoscope.train.judging import TrainResult
from kairoscope.train.sft import sft

CONFIG = SFTConfig(
    max_steps=7,
    epochs=50,
    batch_size=3,
    micro_batch_size=2,
    learning_rate=5e-3,
    warmup_steps=2,
    dense_weight=0.5,
    augment=True,
    eval_every=3,
    save_every=2,
    keep_checkpoints=2,
    lora=LoraConfig(rank=2, alpha=4, dropout=0.3),
)


def train(
    clips: Path,
    out: Path,
    config: SFTConfig = CONFIG,
    *,
    held_out: int = 2,
    group: Group = ALONE,
    on_warning: Callable[[str], None] | None = None,
) -> TrainResult:
    """Four clips to learn from; the log goes to `out`/log.jsonl."""
    samples = make_samples(clips, 4 + held_out) if not clips.exists() else made(clips, 4 + held_out)
    base = clips.parent / "base"
    if not base.exists():
        make_checkpoint(base, TASK, samples, POLICY, SIZE, 0)
    out.mkdir(parents=True, exist_ok=True)

    def log(row: dict[str, Any]) -> None:
        if not group.is_first:
            return
        with (out / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    checkpoint = load_checkpoint(base, device="cpu")
    if config.dtype == "bfloat16":
        exact_in_bfloat16(checkpoint.network)
    return sft(
        checkpoint,
        TASK,
        samples[:4],
        samples[4:],
        policy=POLICY,
        config=config,
        out=out,
        log=log,
        on_warning=on_warning,
        group=group,
    )


@torch.no_grad()
def exact_in_bfloat16(network: Any) -> Any:
    """Weights that bfloat16 holds exactly, as published ones are."""
    for parameter in network.parameters():
        parameter.copy_(parameter.bfloat16())
    return network


def made(clips: Path, count: int) -> list[Any]:
    """The samples of clips that exist already."""
    import tiny_models

    write = tiny_models.write_clip
    tiny_models.write_clip = lambda path, **_: path
    try:
        return make_samples(clips, count)
    finally:
        tiny_models.write_clip = write


def killed_in(step: int) -> None:
    """Have this process killed after the backward pass of a step, before its update is complete."""
    real = torch.nn.utils.clip_grad_norm_
    calls = []

    def clip(*arguments: Any, **settings: Any) -> Any:
        calls.append(1)
        if len(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **settings)

    optimise_module.torch.nn.utils.clip_grad_norm_ = clip  # type: ignore[attr-defined]


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) > 3:
        killed_in(int(sys.argv[3]))
    train(Path(sys.argv[1]), Path(sys.argv[2]))
