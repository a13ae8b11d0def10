"""Under torchrun: optimiser steps at the 7B shape in one process and in all. See `benchmarks.several_gpus`."""

import gc
import json
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.plan_gpu import network_config
from benchmarks.qwen7b import FULL, SMOKE, Shape, build, example, useful_flops
from benchmarks.results import COMPUTING, versions
from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.train.flops import device_peak
from kairoscope.train.group import ALONE, Group
from kairoscope.train.micro import micro_batches
from kairoscope.train.optimise import optimise
from kairoscope.train.trainable import prepare

NUM_CLIPS = 4
"""Of a step, whatever the number of processes."""
WARM_UP, COUNTED = 2, 3
RATE = 1e-5
NUM_TEXT, NUM_ANSWER = 110, 60
"""Tokens of the question and of the answer, about."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way of training."""

    key: str
    title: str
    lora: bool = True
    """Adapters; else the language model."""
    compile: bool = False
    kept_activations: float = 1.0
    ways: tuple[str, ...] = ("ddp", "fsdp")
    """How all processes share it."""

    def config(self, parallel: str) -> SFTConfig:
        """As `kairoscope sft` would be told."""
        return SFTConfig(
            batch_size=NUM_CLIPS,
            micro_batch_size=1,
            dtype="bfloat16",
            freeze_vision=True,
            lora=LoraConfig(rank=16, alpha=32) if self.lora else None,
            gradient_checkpointing=not self.compile,
            compile=self.compile,
            kept_activations=self.kept_activations,
            learning_rate=RATE,
            parallel=parallel,  # type: ignore[arg-type]
        )


SETTINGS = (
    Setting(key="lora", title="adapters, checkpointed"),
    Setting(key="full", title="language model, checkpointed", lora=False, ways=("fsdp",)),
    Setting(key="lora_fast", title="adapters, compiled", compile=True, ways=("ddp", "fsdp")),
    Setting(
        key="full_fast",
        title="language model, compiled, 40 % of the activations kept",
        lora=False,
        compile=True,
        kept_activations=0.4,
        ways=("fsdp",),
    ),
)


class Bench:
    """Measurements of this process."""

    def __init__(self, out: Path, device: str, group: Group) -> None:
        """`out` takes the rows."""
        self.file, self.group = out / "speed.jsonl", group
        self.device = f"cuda:{group.local_rank}" if device == "cuda" else "cpu"
        self.shape: Shape = FULL if device == "cuda" else SMOKE

    def measure(self, setting: Setting, parallel: str, group: Group) -> Row:
        """Steps of `train.optimise` over this process's share of the clips."""
        network, encoder = build(self.shape, self.device, torch.float32, fast=True)
        config = setting.config(parallel)
        clips = [example(encoder, 7.0, self.shape.frame_px, seed) for seed in range(NUM_CLIPS)]
        mine = list(group.share(clips))
        trained = prepare(network, config, group)
        kind = "lora" if setting.lora else "full"
        flops = useful_flops(self.shape, clips, kind, cached=False)
        batch = micro_batches(mine, 1, encoder.geometry)
        self._reset_peak()
        losses, seconds = [], []
        for number in range(WARM_UP + COUNTED):
            self._wait(group)
            began = time.perf_counter()
            losses.append(optimise(trained, encoder.geometry, batch, config, RATE, group)["loss"])
            self._wait(group)
            if number >= WARM_UP:
                seconds.append(time.perf_counter() - began)
        step_s = sorted(seconds)[len(seconds) // 2]
        best = device_peak(torch.device(self.device))
        peaks = group.gathered(self._peak_gib())
        return {
            "step_s": step_s,
            "tokens_per_s": sum(one.num_tokens for one in clips) / step_s,
            "mfu": flops / step_s / best / group.size if best else None,
            "peak_gib": max(peaks),
            "losses": losses,
            "device": torch.cuda.get_device_name() if self.device != "cpu" else "a CPU",
            "versions": versions(COMPUTING),
        }

    def row(self, setting: Setting, parallel: str, group: Group) -> Row:
        """A measurement, or why there is none."""
        began = time.perf_counter()
        about: Row = {
            "key": setting.key,
            "title": setting.title,
            "processes": group.size,
            "parallel": parallel if group.size > 1 else "",
        }
        try:
            found = self.measure(setting, parallel, group)
        except Exception as error:  # noqa: BLE001 - one setting that fails must not end the others
            traceback.print_exc()
            found = {"failed": f"{type(error).__name__}: {str(error)[:200]}"}
            found["device"] = "unknown"
        torch._dynamo.reset()
        gc.collect()
        if self.device != "cpu":
            torch.cuda.empty_cache()
        return about | found | {"whole_s": time.perf_counter() - began}

    def write(self, rows: list[Row]) -> None:
        """The first process writes; a collective call."""
        if self.group.is_first:
            with self.file.open("a") as file:
                for row in rows:
                    file.write(json.dumps(row) + "\n")
                    figure = row.get("failed") or f"{row['tokens_per_s']:.0f} tokens/s"
                    sys.stderr.write(
                        f"{row['key']} {row['processes']} {row['parallel']}: {figure}\n"
                    )

    def alone(self, settings: tuple[Setting, ...]) -> None:
        """As many settings as there are processes at a time, each in one of them."""
        for first in range(0, len(settings), self.group.size):
            place = first + self.group.rank
            mine = [settings[place]] if place < len(settings) else []
            rows = [self.row(setting, "ddp", ALONE) for setting in mine]
            self.write([row for part in self.group.gathered(rows) for row in part])

    def together(self, setting: Setting) -> None:
        """In all processes."""
        for way in setting.ways:
            self.write([self.row(setting, way, self.group)])

    def _wait(self, group: Group) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()
        group.gathered(None)

    def _reset_peak(self) -> None:
        if self.device != "cpu":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def _peak_gib(self) -> float:
        return torch.cuda.max_memory_allocated() / 2**30 if self.device != "cpu" else 0.0


def planned_gib(row: Row) -> float:
    """What the plan says that a step of a setting takes on each device, in GiB."""
    from kairoscope.recipes.planning import on_each_device
    from kairoscope.train.rehearsal import Shape as Sample
    from kairoscope.train.rehearsal import rehearse

    setting = next(one for one in SETTINGS if one.key == row["key"])
    config = setting.config(row["parallel"] or "ddp")
    sample = Sample(grid_thw=(28, 34, 34), num_text=NUM_TEXT, num_answer=NUM_ANSWER)
    passes = NUM_CLIPS // int(row["processes"])
    found = rehearse(network_config("7b"), config, [sample], kind="cuda", passes=passes)
    memory = on_each_device(found, config, int(row["processes"]))
    held = memory.weights + memory.gradients + memory.optimizer
    return float(held + memory.activations + memory.communication) / 2**30


def main() -> None:
    """Measure two settings alone, then together; then those that are compiled."""
    out, device = Path(sys.argv[1]), sys.argv[2]
    group = Group.join()
    torch.set_num_threads(1 if device == "cpu" else 8)
    bench = Bench(out, device, group)
    settings = SETTINGS if device == "cuda" else SETTINGS[:2]
    for pair in (settings[:2], settings[2:]):
        bench.alone(pair)
        for setting in pair:
            bench.together(setting)
    group.leave()


if __name__ == "__main__":
    main()
