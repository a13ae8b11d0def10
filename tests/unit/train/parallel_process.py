"""Training runs in several processes, started by torchrun: parallel_process.py CLIPS FOLDER JOBS.

JOBS is a JSON object of name -> settings, trained in FOLDER/name one after the other: changes to CONFIG;
`lora`: trains adapters with this dropout; `resumes`: goes on from a copy of FOLDER/`resumes`
without its last state.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from sft_process import CONFIG as RESUMABLE
from sft_process import train
from torch.distributed.tensor import DTensor

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.models.checkpoint import load_checkpoint
from kairoscope.train.group import ALONE, Group
from kairoscope.train.trainable import prepare

CONFIG = replace(
    RESUMABLE,
    lora=None,
    batch_size=5,
    max_steps=4,
    eval_every=2,
    epsilon=1e-3,  # Adam makes large steps of gradients that are nothing but rounding
)
LAST = "step_0000004"


def configured(settings: Mapping[str, Any]) -> SFTConfig:
    """CONFIG with changes."""
    changes = {k: v for k, v in settings.items() if k not in ("lora", "resumes")}
    dropout = settings.get("lora")
    lora = None if dropout is None else LoraConfig(rank=2, alpha=4, dropout=dropout)
    return replace(CONFIG, lora=lora, **changes)


def run_job(
    clips: Path, folder: Path, name: str, settings: Mapping[str, Any], group: Group = ALONE
) -> None:
    """Train what `settings` say in `folder`/`name`."""
    out, from_where = folder / name, settings.get("resumes")
    if from_where and group.is_first:
        shutil.copytree(folder / from_where, out)
        shutil.rmtree(out / "state" / LAST)
        (out / "log.jsonl").unlink()
    group.from_first(lambda: None)
    train(clips, out, configured(settings), group=group)


def weights_held(folder: Path, parallel: str, group: Group) -> list[int]:
    """How many trained weights each process holds."""
    network = load_checkpoint(folder / "base", device="cpu").network
    trained = prepare(network, configured({"parallel": parallel}), group)
    local = [p.to_local() if isinstance(p, DTensor) else p for p in trained.parameters]
    return group.gathered(sum(p.numel() for p in local))


if __name__ == "__main__":
    torch.set_num_threads(1)
    processes = Group.join()
    for job, wanted in json.loads(sys.argv[3]).items():
        run_job(Path(sys.argv[1]), Path(sys.argv[2]), job, wanted, processes)
    base = Path(sys.argv[2])
    held = {way: weights_held(base, way, processes) for way in ("ddp", "fsdp", "hsdp")}
    if processes.is_first:
        (base / "held.json").write_text(json.dumps(held))
    processes.leave()
