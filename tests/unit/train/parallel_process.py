"""Training runs in several processes, started by torchrun: parallel_process.py CLIPS FOLDER JOBS.

JOBS is a JSON object of name -> settings, trained in FOLDER/name one after the other: changes to CONFIG;
`lora`: trains adapters with this dropout; `cache_folder`: its name in FOLDER; `resumes`: goes on from a copy of FOLDER/`resumes`
without its last state. Runs that compute in bfloat16 begin with weights that are exact in it, as published
ones are.
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
from sft_process import exact_in_bfloat16, train
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
    config = configured(settings)
    if config.cache_folder:
        config = replace(config, cache_folder=str(folder / config.cache_folder))
    train(clips, out, config, group=group)


def weights_held(folder: Path, parallel: str, group: Group) -> list[int]:
    """How many trained weights each process holds."""
    network = load_checkpoint(folder / "base", device="cpu").network
    trained = prepare(network, configured({"parallel": parallel}), group)
    local = [p.to_local() if isinstance(p, DTensor) else p for p in trained.parameters]
    return group.gathered(sum(p.numel() for p in local))


def frozen_held(folder: Path, group: Group) -> list[tuple[int, int]]:
    """(weights, bytes) of what is not trained that each process holds in a bfloat16 run of FSDP."""
    network = exact_in_bfloat16(load_checkpoint(folder / "base", device="cpu").network)
    settings = {"parallel": "fsdp", "dtype": "bfloat16", "lora": 0.0}
    prepare(network, configured(settings), group)
    frozen = [p for p in network.parameters() if not p.requires_grad]
    local = [p.to_local() if isinstance(p, DTensor) else p for p in frozen]
    return group.gathered((sum(p.numel() for p in local), sum(p.nbytes for p in local)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    processes = Group.join()
    for job, wanted in json.loads(sys.argv[3]).items():
        run_job(Path(sys.argv[1]), Path(sys.argv[2]), job, wanted, processes)
    base = Path(sys.argv[2])
    held = {way: weights_held(base, way, processes) for way in ("ddp", "fsdp", "hsdp")}
    frozen = frozen_held(base, processes)
    if processes.is_first:
        (base / "held.json").write_text(json.dumps(held))
        (base / "frozen.json").write_text(json.dumps(frozen))
    processes.leave()
