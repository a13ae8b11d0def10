"""Under torchrun: the same trainings in one process and in all. See `benchmarks.several_gpus`."""

import itertools
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from benchmarks.results import COMPUTING, versions
from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import FramePolicy, Sample
from kairoscope.events import Event
from kairoscope.models.checkpoint import Checkpoint, load_checkpoint
from kairoscope.models.scratch import Size, make_checkpoint
from kairoscope.recipes.subtask_times import TASK
from kairoscope.simulate.render import encode_mp4
from kairoscope.train.group import ALONE, Group
from kairoscope.train.sft import sft
from kairoscope.train.trainable import prepare

POLICY = FramePolicy(fps=8.0, min_frame_pixels=4 * 28 * 28, max_frame_pixels=16 * 28 * 28)
CONFIG = SFTConfig(
    epochs=50,
    max_steps=6,
    batch_size=8,
    micro_batch_size=2,
    learning_rate=1e-3,
    warmup_steps=2,
    epsilon=1e-3,
    eval_every=3,
    save_every=3,
)
LAST = "step_0000006"
QUERY = ("grasping the red cube", "releasing the red cube")
NUM_TRAIN, NUM_HELD_OUT = 10, 2
LARGE = Size(
    vision_depth=4,
    vision_width=256,
    vision_heads=4,
    text_depth=8,
    text_width=512,
    text_heads=8,
    text_kv_heads=2,
)
SMALL = Size(vision_depth=2, vision_width=64, text_depth=3, text_width=96)
WHOLE: dict[str, Any] = {}
ADAPTERS: dict[str, Any] = {"lora": LoraConfig(rank=8, alpha=16)}
KEPT: dict[str, Any] = {"cache": True, "packing": True, "pack_tokens": 1200}
HALF: dict[str, Any] = {"dtype": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Job:
    """One training."""

    key: str
    title: str
    settings: dict[str, Any]
    like: str | None = None
    """The run that it is compared with."""
    together: bool = True
    """In all processes; else in the first."""
    resumes: str | None = None
    """Goes on from this run's state of half way."""
    floor: bool = False
    """Differs by what rounding alone does in one process."""


def alone(key: str, title: str, settings: dict[str, Any], like: str | None = None) -> Job:
    """A training in the first process; one that is compared shows what rounding does."""
    return Job(key, title, settings, like, together=False, floor=like is not None)


FSDP = {"parallel": "fsdp"}
LEAN = FSDP | {"gradient_checkpointing": True}
ONES = {"micro_batch_size": 1}
JOBS = (
    alone("whole", "all weights", WHOLE),
    alone("adapters", "adapters", ADAPTERS),
    alone("whole-micro", "all weights, one process, micro-batches of 1", WHOLE | ONES, "whole"),
    Job("whole-ddp", "all weights, DDP", WHOLE, "whole"),
    Job("whole-fsdp", "all weights, FSDP2", WHOLE | FSDP, "whole"),
    Job("adapters-ddp", "adapters, DDP", ADAPTERS, "adapters"),
    Job("adapters-fsdp", "adapters, FSDP2", ADAPTERS | LEAN, "adapters"),
    Job("kept-ddp", "adapters, DDP, features cached, packed", ADAPTERS | KEPT, "adapters"),
    Job(
        "kept-fsdp", "adapters, FSDP2, features cached, packed", ADAPTERS | KEPT | FSDP, "adapters"
    ),
    Job(
        "whole-to-all",
        "all weights, one process, then FSDP2 in all",
        WHOLE | FSDP,
        "whole",
        resumes="whole",
    ),
    Job(
        "adapters-to-all",
        "adapters, one process, then DDP in all",
        ADAPTERS,
        "adapters",
        resumes="adapters",
    ),
    Job(
        "whole-to-one",
        "all weights, FSDP2 in all, then one process",
        WHOLE,
        "whole",
        together=False,
        resumes="whole-fsdp",
    ),
    Job(
        "kept-to-one",
        "adapters, DDP in all with cache and packing, then one process",
        ADAPTERS | KEPT,
        "adapters",
        together=False,
        resumes="kept-ddp",
    ),
    alone("half", "all weights", WHOLE | HALF),
    alone("half-adapters", "adapters", ADAPTERS | HALF),
    alone(
        "half-micro",
        "all weights, bfloat16, one process, micro-batches of 1",
        WHOLE | HALF | ONES,
        "half",
    ),
    Job("half-ddp", "all weights, bfloat16, DDP", WHOLE | HALF, "half"),
    Job("half-fsdp", "all weights, bfloat16, FSDP2", WHOLE | HALF | FSDP, "half"),
    Job(
        "half-adapters-fsdp",
        "adapters, bfloat16 with frozen weights in bfloat16, FSDP2",
        ADAPTERS | HALF | FSDP,
        "half-adapters",
    ),
)


def write_samples(folder: Path) -> list[Sample[Any, Any]]:
    """Clips of 1 to 2.5 s of a square that moves, with two events each. Made by the first process."""
    samples = []
    for number in range(NUM_TRAIN + NUM_HELD_OUT):
        seconds = 1.0 + 0.25 * (number * 5 % 7)
        path = folder / f"{number:02d}.mp4"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            pictures = itertools.islice(_moving_square(number), round(seconds * 12))
            path.write_bytes(encode_mp4(pictures, size_px=84, fps=12))
        samples.append(
            Sample(
                id=path.name,
                video=path,
                query=QUERY,
                gold=(
                    Event(QUERY[0], 0.1, round(0.4 * seconds, 2)),
                    Event(QUERY[1], None, round(0.8 * seconds, 2)),
                ),
                group=path.name,
                scenario="stack",
                duration_s=seconds,
            )
        )
    return samples


def _moving_square(seed: int) -> Iterator[Any]:
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 200, 3)
    place, pace = rng.integers(8, 40, 2), rng.integers(1, 4, 2)
    for number in itertools.count():
        picture = np.full((84, 84, 3), ground, dtype=np.uint8)
        y, x = (place + number * pace) % 68
        picture[y : y + 16, x : x + 16] = 255
        yield picture


class Trainings:
    """Runs of the jobs in one folder, and what came of them."""

    def __init__(self, folder: Path, device: str, group: Group) -> None:
        """Make clips and the network that all begin with."""
        self.folder, self.group = folder, group
        self.device = f"cuda:{group.local_rank}" if device == "cuda" else "cpu"
        group.from_first(lambda: len(write_samples(folder / "clips")))
        self.samples = write_samples(folder / "clips")
        size = LARGE if device == "cuda" else SMALL
        group.from_first(
            lambda: make_checkpoint(folder / "base", TASK, self.samples, POLICY, size, 0)
        )
        self.logs: dict[str, list[dict[str, Any]]] = {}

    def base(self) -> Checkpoint:
        """The network before training, its weights exact in bfloat16, as published ones are."""
        checkpoint = load_checkpoint(self.folder / "base", device=self.device, dtype="float32")
        with torch.no_grad():
            for parameter in checkpoint.network.parameters():
                parameter.copy_(parameter.bfloat16())
        return checkpoint

    def run(self, job: Job) -> None:
        """Train; a job of one process leaves the others waiting."""
        out = self.folder / job.key
        group = self.group if job.together else ALONE
        if self.group.is_first and job.resumes:
            shutil.copytree(self.folder / job.resumes, out)
            shutil.rmtree(out / "state" / LAST)
        self.group.gathered(None)
        if job.together or self.group.is_first:
            rows = self.logs.setdefault(job.key, [])
            sft(
                self.base(),
                TASK,
                self.samples[:NUM_TRAIN],
                self.samples[NUM_TRAIN:],
                policy=POLICY,
                config=replace(CONFIG, cache_folder=str(self.folder / "kept"), **job.settings),
                out=out,
                log=rows.append,
                group=group,
            )
        self.group.gathered(None)

    def compared(self, job: Job) -> dict[str, Any]:
        """How far a run is from the one that it should be like."""
        assert job.like is not None
        ours, theirs = self._weights(job.key), self._weights(job.like)
        start = self._start(job)
        moved = torch.cat([(theirs[k] - start[k]).flatten() for k in theirs]).norm()
        apart = torch.cat([(ours[k] - theirs[k]).flatten() for k in theirs]).norm()
        return {
            "key": job.key,
            "title": job.title,
            "like": job.like,
            "floor": job.floor,
            "dtype": job.settings.get("dtype", "float32"),
            "processes": self.group.size if job.together else 1,
            "weights": float(apart / moved),
            "loss": self._furthest(job, "step", ("loss",)),
            "held_out": self._furthest(job, "held_out", tuple(TASK.metrics)),
            "device": torch.cuda.get_device_name() if self.device != "cpu" else "a CPU",
            "versions": versions(COMPUTING),
        }

    def _weights(self, key: str) -> dict[str, torch.Tensor]:
        stored = load_file(self.folder / key / "state" / LAST / "state.safetensors")
        return {k.removeprefix("weight/"): v for k, v in stored.items() if k.startswith("weight/")}

    def _start(self, job: Job) -> dict[str, torch.Tensor]:
        """The trained weights before the first step."""
        settings = {k: v for k, v in job.settings.items() if k != "parallel"}
        trained = prepare(self.base().network, replace(CONFIG, **settings))
        named = zip(trained.names, trained.parameters, strict=True)
        return {name: p.detach().cpu() for name, p in named}

    def _furthest(self, job: Job, kind: str, fields: tuple[str, ...]) -> float:
        """Largest relative difference of what both have logged."""
        assert job.like is not None
        theirs = {row["step"]: row for row in self.logs[job.like] if row["kind"] == kind}
        pairs = [
            (row[name], theirs[row["step"]][name])
            for row in self.logs[job.key]
            if row["kind"] == kind
            for name in fields
        ]
        return float(max(abs(a - b) / max(abs(b), 1e-9) for a, b in pairs))


def main() -> None:
    """Train all jobs in turn and write a row for each comparison."""
    out, device = Path(sys.argv[1]), sys.argv[2]
    group = Group.join()
    torch.set_num_threads(1 if device == "cpu" else 4)
    folder = Path(group.from_first(lambda: tempfile.mkdtemp(prefix="several-")))
    trainings = Trainings(folder, device, group)
    for job in JOBS:
        trainings.run(job)
        if group.is_first and job.like:
            row = trainings.compared(job)
            with (out / "same.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            sys.stderr.write(f"{job.key}: weights {row['weights']:.1e}, loss {row['loss']:.1e}\n")
    if group.is_first:
        shutil.rmtree(folder)
    group.leave()


if __name__ == "__main__":
    main()
