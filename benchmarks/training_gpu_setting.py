"""One setting of `benchmarks.training_gpu`, in a process of its own."""

import itertools
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.hf_trainer import Clock, VideoCollator, trainer_for, with_adapters
from benchmarks.qwen7b import FPS, FULL, SMOKE, Shape, build, example, useful_flops
from benchmarks.training_gpu import PEAK_FLOPS
from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.models.chat import Encoder, films
from kairoscope.models.forward import Seen, look
from kairoscope.train.examples import Example
from kairoscope.train.micro import micro_batches
from kairoscope.train.optimise import optimise
from kairoscope.train.trainable import LORA_TARGETS, prepare
from kairoscope.video.patches import to_patches
from kairoscope.video.sampling import QWEN25_GEOMETRY

WARM_UP, COUNTED = 2, 3
"""Optimiser steps. A compiled network is compiled in the first."""
RATE = 1e-5
LORA = LoraConfig(rank=16, alpha=32)
PACK_TOKENS = 16_384
PROFILED = ("lora", "lora_fast", "full", "full_compiled")
Row = dict[str, Any]


def data_for(encoder: Encoder, shape: Shape, data: str) -> tuple[list[Example], int]:
    """Samples of an optimiser step, and how many of them share a pass where they are not packed."""
    if data == "long":
        return [example(encoder, 7.0, shape.frame_px, seed) for seed in range(2)], 1
    lengths = [1 + 6 * (i * 5 % 8) / 7 for i in range(8)]
    return [example(encoder, s, shape.mixed_px, i) for i, s in enumerate(lengths)], 4


def ours(setting: Row, shape: Shape, device: str) -> Row:
    """Steps of `train.optimise`, as `kairoscope sft` makes them."""
    network, encoder = build(shape, device, torch.float32, fast=True)
    examples, micro = data_for(encoder, shape, setting["data"])
    config = SFTConfig(
        batch_size=len(examples),
        micro_batch_size=micro,
        packing=setting["packing"],
        pack_tokens=PACK_TOKENS,
        dtype="bfloat16",
        freeze_vision=True,
        lora=LORA if setting["kind"] == "lora" else None,
        gradient_checkpointing=setting["checkpointing"],
        compile=setting["compile"],
        kept_activations=setting["budget"],
        learning_rate=RATE,
    )
    trained = prepare(network, config)
    geometry = encoder.geometry
    flops = useful_flops(shape, examples, setting["kind"], cached=setting["cached"])
    if setting["cached"]:
        examples = [replace(e, seen=seen_by(network, encoder, e)) for e in examples]
    pack_tokens = config.pack_tokens if config.packing else None

    def step() -> float:
        # As the feed does it, which is ahead of the GPU; here it is part of the step.
        batch = micro_batches(ordered, micro, geometry, pack_tokens)
        return optimise(trained, geometry, batch, config, RATE)["loss"]

    ordered = sorted(examples, key=lambda e: e.num_tokens)
    reset_peak(device)
    losses, step_s = timed(step, device)
    row = throughput(ordered, step_s, flops, device) | {"loss": losses[0], "losses": losses}
    if setting["key"] in PROFILED:
        try:
            row["profile"] = profiled(step, device)
        except RuntimeError as error:  # without a profiler the figures stand
            row["profile_failed"] = str(error)[:300]
    return row


@torch.no_grad()
def seen_by(network: Any, encoder: Encoder, one: Example) -> Seen:
    """What the tower says of a sample, kept as the cache keeps it."""
    bfloat16 = torch.autocast(network.device.type, torch.bfloat16)
    with bfloat16:
        seen = look(network, films([one.encoded], encoder.geometry), encoder.geometry)
    features = seen.features_ND.to("cpu", torch.bfloat16)
    return Seen(features_ND=features.pin_memory() if network.device.type == "cuda" else features)


def timed(step: Any, device: str) -> tuple[list[float], float]:
    """Losses of all steps, and the seconds of the median counted one."""
    losses = [step() for _ in range(WARM_UP)]
    seconds = []
    for _ in range(COUNTED):
        wait(device)
        started = time.perf_counter()
        losses.append(step())
        wait(device)
        seconds.append(time.perf_counter() - started)
    return losses, sorted(seconds)[len(seconds) // 2]


def profiled(step: Any, device: str) -> list[Row]:
    """The kernels that a step spends most time in."""
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU] if device == "cpu" else [ProfilerActivity.CUDA]
    with profile(activities=kinds) as taken:
        step()
        wait(device)
    field = "self_cpu_time_total" if device == "cpu" else "self_device_time_total"
    events = sorted(taken.key_averages(), key=lambda e: -getattr(e, field))[:30]
    return [
        {"kernel": e.key[:110], "ms": getattr(e, field) / 1000, "calls": e.count} for e in events
    ]


def with_trainer(setting: Row, shape: Shape, device: str) -> Row:
    """The same samples with transformers' Trainer."""
    kind, pure = setting["kind"], setting["pure"] or setting["kind"] == "lora"
    dtype = torch.bfloat16 if pure else torch.float32
    network, encoder = build(shape, device, dtype, fast=False)
    examples, micro = data_for(encoder, shape, setting["data"])
    flops = useful_flops(shape, examples, kind, cached=False)
    model = network
    if kind == "lora":
        model = with_adapters(network, LORA.rank, LORA.alpha, LORA_TARGETS)
    else:
        network.model.visual.requires_grad_(requires_grad=False)
    network.config.use_cache = False
    collator = VideoCollator(network, encoder.geometry, encoder.geometry.temporal / FPS)
    clock, steps = Clock(), 3
    with tempfile.TemporaryDirectory() as out:
        trainer = trainer_for(
            model,
            examples * steps,
            collator,
            out=Path(out),
            steps=steps,
            batch_size=len(examples),
            micro=micro,
            learning_rate=RATE,
            bfloat16=True,
            checkpointing=setting["checkpointing"],
            workers=4 if device == "cuda" else 0,
            callbacks=[clock],
        )
        reset_peak(device)
        trainer.train()
    # The first step warms up; of the other two the faster one counts.
    step_s = min(b - a for a, b in itertools.pairwise(clock.ends_s))
    row = throughput(examples, step_s, flops, device)
    return row | {"loss": clock.losses[0], "losses": clock.losses} | tower_share(network, examples)


@torch.no_grad()
def tower_share(network: Any, examples: Sequence[Example]) -> Row:
    """Seconds of transformers' own vision tower for a step's clips, and of its patch embedding."""
    geometry = QWEN25_GEOMETRY
    visual: Any = network.model.visual
    device = network.device.type
    patches = [to_patches(e.encoded.pixels_THWC, geometry)[0] for e in examples]
    pixels = torch.cat(patches).to(network.device, visual.dtype)
    grid = torch.tensor([e.encoded.grid_thw for e in examples], device=network.device)
    row: Row = {}
    jobs: dict[str, Callable[[], Any]] = {
        "tower_s": lambda: visual(pixels, grid_thw=grid),
        "patch_embed_s": lambda: visual.patch_embed(pixels),
    }
    for name, job in jobs.items():
        wait(device)
        started = time.perf_counter()
        job()
        wait(device)
        row[name] = time.perf_counter() - started
    return row


def throughput(examples: Sequence[Example], step_s: float, flops: float, device: str) -> Row:
    """Figures of a step."""
    name = torch.cuda.get_device_name() if device == "cuda" else "a CPU"
    peak = next((rate for part, rate in PEAK_FLOPS.items() if part in name), None)
    gib = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0
    reserved = torch.cuda.max_memory_reserved() / 2**30 if device == "cuda" else 0.0
    return {
        "device": name,
        "samples": len(examples),
        "step_s": step_s,
        "tokens_per_s": sum(e.num_tokens for e in examples) / step_s,
        "vision_tokens_per_s": sum(e.encoded.num_vision_tokens for e in examples) / step_s,
        "samples_per_s": len(examples) / step_s,
        "useful_tflop": flops / 1e12,
        "mfu": None if peak is None else flops / step_s / peak,
        "peak_gib": gib,
        "reserved_gib": reserved,
    }


def wait(device: str) -> None:
    """Until the GPU has caught up."""
    if device == "cuda":
        torch.cuda.synchronize()


def reset_peak(device: str) -> None:
    """Count memory from here on."""
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def main(argv: Sequence[str]) -> None:
    """Wait for the word, measure, write the row."""
    setting, target = json.loads(argv[0]), Path(argv[1])
    smoke = "--smoke" in argv
    if not sys.stdin.readline():
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    way = partial(ours if setting["engine"] == "ours" else with_trainer, setting)
    if smoke:
        setting["compile"] = False  # which takes longer than everything else together
    try:
        row = way(SMOKE if smoke else FULL, device)
    except Exception as error:  # noqa: BLE001 - one setting that fails must not end the others
        traceback.print_exc()
        row = {"failed": f"{type(error).__name__}: {str(error)[:300]}"}
        if device == "cuda":
            row["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    part = target.with_suffix(".part")
    part.write_text(json.dumps(row))
    part.replace(target)


if __name__ == "__main__":
    main(sys.argv[1:])
