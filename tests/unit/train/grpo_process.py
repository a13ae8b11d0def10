"""A GRPO run in a process of its own, to be killed or shared: python grpo_process.py CLIPS OUT [STEP].

Kills itself in the middle of update STEP, as `kill -9` from outside would. Under torchrun all
processes train together.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from sft_process import killed_in, made
from tiny_models import POLICY, SIZE, make_samples

from kairoscope.config import GRPOConfig, LoraConfig
from kairoscope.models.checkpoint import load_checkpoint
from kairoscope.models.scratch import make_checkpoint
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.group import ALONE, Group
from kairoscope.train.grpo import grpo
from kairoscope.train.judging import TrainResult

CONFIG = GRPOConfig(
    max_steps=5,
    epochs=50,
    rollouts_per_step=12,
    group_size=4,
    micro_batch_size=3,
    prompts_at_once=2,
    inner_updates=2,
    decoding="constrained",
    kl_beta=0.1,
    learning_rate=5e-3,
    epsilon=1e-3,
    warmup_steps=1,
    eval_every=2,
    save_every=2,
    keep_checkpoints=2,
    lora=LoraConfig(rank=2, alpha=4),
)
WEIGHTS = (("tiou", 1.0), ("boundary", 0.5), ("format", 0.1))


def train(
    clips: Path, out: Path, config: GRPOConfig = CONFIG, *, group: Group = ALONE
) -> TrainResult:
    """Four clips to learn from; the log goes to `out`/log.jsonl."""
    samples = made(clips, 6) if clips.exists() else make_samples(clips, 6)
    base = clips.parent / "base"
    if not base.exists():
        make_checkpoint(base, TASK, samples, POLICY, SIZE, 0)
    out.mkdir(parents=True, exist_ok=True)

    def log(row: dict[str, Any]) -> None:
        if group.is_first:
            with (out / "log.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")

    return grpo(
        load_checkpoint(base, device="cpu"),
        TASK,
        samples[:4],
        samples[4:],
        policy=POLICY,
        config=config,
        weights=WEIGHTS,
        out=out,
        log=log,
        group=group,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    processes = Group.join()
    if len(sys.argv) > 3:
        killed_in(int(sys.argv[3]))
    train(Path(sys.argv[1]), Path(sys.argv[2]), group=processes)
    processes.leave()
