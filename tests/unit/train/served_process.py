"""A GRPO run whose answers a server draws, under torchrun: python served_process.py CLIPS OUT URL."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from sft_process import made
from tiny_models import POLICY, make_checkpoint, make_tokenizer

from kairoscope.config import GRPOConfig
from kairoscope.models.server.options import ServerOptions
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train import rewards
from kairoscope.train.group import Group
from kairoscope.train.grpo import grpo
from kairoscope.train.rewards import Answered, Reward
from kairoscope.train.served import RolloutServer

CONFIG = GRPOConfig(
    max_steps=4,
    epochs=50,
    rollouts_per_step=8,
    group_size=4,
    micro_batch_size=4,
    inner_updates=2,
    max_new_tokens=8,
    learning_rate=5e-3,
    warmup_steps=0,
    eval_every=10,
    save_every=2,
    seed=3,
)
WEIGHTS = (("varied", 1.0),)


def varied(answered: Answered) -> float:
    """Something that even random weights are rewarded for."""
    return len(set(answered.text)) / (1 + len(answered.text))


ALL = {
    **rewards.REWARDS,
    "varied": Reward(of=varied, fits=lambda _: True, needs="an answer"),
}


def main(clips: Path, out: Path, url: str) -> None:
    """Train on three clips; the first process writes `out`/log.jsonl."""
    rewards.REWARDS = ALL
    group = Group.join()
    options = ServerOptions(base_url=url, attempts=2, send="file")
    out.mkdir(parents=True, exist_ok=True)

    def log(row: dict[str, Any]) -> None:
        if group.is_first:
            with (out / "log.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")

    grpo(
        make_checkpoint(make_tokenizer()),
        TASK,
        made(clips, 3),
        [],
        policy=POLICY,
        config=CONFIG,
        weights=WEIGHTS,
        out=out,
        log=log,
        server=RolloutServer(model="twin", options=options),
        group=group,
    )
    group.leave()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
