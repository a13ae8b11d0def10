"""What a training step takes against what `kairoscope plan` says it will: peak memory and time.

    python -m benchmarks.plan_gpu --out plan_gpu.json                 # a CUDA machine, 3B and 7B shapes
    python -m benchmarks.plan_gpu --device cpu --out plan_cpu.json    # here, small shapes

Random weights of the published shapes, real optimiser steps. Every setting runs in a process of its own
and is written to the file as soon as it is done; `--only NAME` runs one. The peak is torch's own count of
the bytes that it hands out.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.plan_table import write

TEXT: dict[str, dict[str, int]] = {
    "7b": {"hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28}
    | {"num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152_064},
    "3b": {"hidden_size": 2048, "intermediate_size": 11_008, "num_hidden_layers": 36}
    | {"num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151_936},
    "small": {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 8}
    | {"num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 8192},
    "tiny": {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 6}
    | {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1024},
}
VISION: dict[str, dict[str, int]] = {
    "7b": {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16},
    "3b": {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16},
    "small": {"depth": 6, "hidden_size": 256, "intermediate_size": 684, "num_heads": 4},
    "tiny": {"depth": 4, "hidden_size": 128, "intermediate_size": 342, "num_heads": 4},
}
LORA = {"lora": {"rank": 16, "alpha": 32, "dropout": 0.0}}
LEAN = {"dtype": "bfloat16", "gradient_checkpointing": True}
# Temporal patches, then 28-pixel units down and across: 28 x 17 x 17 = 8,092 vision tokens, as 7 s at
# 8 frames a second have under the recipe's budget.
GPU: dict[str, dict[str, Any]] = {
    "3b-lora": {"size": "3b", "grid": (28, 12, 12), "set": LORA | {"dtype": "bfloat16"}},
    "3b-lora-checkpointed": {"size": "3b", "grid": (28, 17, 17), "set": LORA | LEAN, "samples": 2},
    "3b-language": {"size": "3b", "grid": (28, 12, 12), "set": LEAN | {"freeze_vision": True}},
    "3b-full": {"size": "3b", "grid": (14, 12, 12), "set": LEAN, "passes": 2},
    "7b-lora-checkpointed": {"size": "7b", "grid": (28, 17, 17), "set": LORA | LEAN},
    "7b-lora": {"size": "7b", "grid": (14, 10, 10), "set": LORA | {"dtype": "bfloat16"}},
    "7b-language": {"size": "7b", "grid": (14, 10, 10), "set": LEAN | {"freeze_vision": True}},
}
CPU: dict[str, dict[str, Any]] = {
    "tiny-full": {"size": "tiny", "grid": (8, 8, 8), "set": {}, "samples": 2},
    "tiny-full-two-passes": {
        "size": "tiny",
        "grid": (8, 8, 8),
        "set": {},
        "samples": 2,
        "passes": 2,
    },
    "tiny-checkpointed": {"size": "tiny", "grid": (16, 10, 10), "samples": 2}
    | {"set": {"gradient_checkpointing": True}},
    "small-lora": {"size": "small", "grid": (8, 10, 10), "set": LORA},
    "small-language": {"size": "small", "grid": (8, 8, 8), "set": {"freeze_vision": True}},
    "small-full-bfloat16": {"size": "small", "grid": (8, 8, 8), "set": {"dtype": "bfloat16"}},
    "small-packed": {"size": "small", "grid": (4, 8, 8), "set": {"packing": True}, "samples": 3},
}
NUM_TEXT, NUM_ANSWER = 150, 60


def network_config(size: str) -> Any:
    """The published configuration of a size, or a smaller one of the same kind."""
    from transformers import Qwen2_5_VLConfig

    text = TEXT[size]
    axis = text["hidden_size"] // text["num_attention_heads"] // 2 // 8
    sections = [axis * 2, axis * 3, axis * 3]
    config = Qwen2_5_VLConfig(
        text_config={
            **text,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": sections,
            },
            "bos_token_id": None,
            "eos_token_id": 1,
            "tie_word_embeddings": size != "7b",
        },
        vision_config={
            **VISION[size],
            "out_hidden_size": text["hidden_size"],
            "tokens_per_second": 2,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31] if VISION[size]["depth"] == 32 else [1, 3],
        },
        tie_word_embeddings=size != "7b",
        video_token_id=7,
        image_token_id=6,
        vision_start_token_id=5,
        vision_end_token_id=4,
    )
    config.dtype = "bfloat16"
    return config


def configured(setting: dict[str, Any]) -> tuple[Any, Any]:
    """`SFTConfig` and sample sizes of a setting's micro-batch."""
    from kairoscope.config import LoraConfig, SFTConfig
    from kairoscope.train.rehearsal import Shape

    changes = dict(setting["set"])
    lora = changes.pop("lora", None)
    samples = setting.get("samples", 1)
    config = SFTConfig(
        batch_size=samples * setting.get("passes", 1),
        micro_batch_size=samples,
        lora=lora and LoraConfig(**lora),
        **changes,
    )
    frames, rows, columns = setting["grid"]
    shape = Shape(
        grid_thw=(frames, rows * 2, columns * 2), num_text=NUM_TEXT, num_answer=NUM_ANSWER
    )
    return config, [shape] * samples


def predict(setting: dict[str, Any], device: str) -> dict[str, Any]:
    """What the plan says of a setting; runs nothing on the device."""
    from kairoscope.train.rehearsal import Kind, rehearse

    config, shapes = configured(setting)
    passes = setting.get("passes", 1)
    kind: Kind = "cuda" if device == "cuda" else "cpu"
    started = time.perf_counter()
    found = rehearse(network_config(setting["size"]), config, shapes, kind=kind, passes=passes)
    flops = passes * found.arithmetic.step(
        [shape.num_tokens(2) for shape in shapes],
        NUM_ANSWER * len(shapes),
        [shape.grid_thw for shape in shapes],
    )
    parts = ("weights", "gradients", "optimizer", "activations", "logits", "cache")
    return {
        "weights": found.num_weights,
        "trained": found.num_trained,
        "predicted_gib": found.memory.peak / 2**30,
        "parts_gib": {part: getattr(found.memory, part) / 2**30 for part in parts},
        "planning_s": time.perf_counter() - started,
        "flops": flops,
    }


def measure(setting: dict[str, Any], device: str) -> dict[str, Any]:
    """What a setting really takes."""
    import torch

    from kairoscope.train.flops import device_peak

    config, shapes = configured(setting)
    peak_bytes, step_s, tokens = _run(
        setting["size"], config, shapes, setting.get("passes", 1), device
    )
    return {
        "measured_gib": peak_bytes / 2**30,
        "step_s": step_s,
        "tokens_per_step": tokens,
        "tokens_per_s": tokens / step_s,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "device_flops_per_s": device_peak(torch.device(device)),
        "torch": torch.__version__,
    }


def _run(size: str, config: Any, shapes: Any, passes: int, device: str) -> tuple[float, float, int]:
    """Peak bytes, seconds and tokens of optimiser steps after the first."""
    import torch

    from kairoscope.models.checkpoint import CLASSES, make_encoder, use_fast_attention
    from kairoscope.train.optimise import optimise
    from kairoscope.train.rehearsal import micro_batch_of
    from kairoscope.train.trainable import prepare

    made = network_config(size)
    with torch.device(device):
        network = CLASSES[made.model_type]._from_config(made, dtype=torch.bfloat16)
    network.to(device, torch.float32)
    use_fast_attention(network)
    trained = prepare(network, config)
    geometry = make_encoder(network, None).geometry
    batch = [
        micro_batch_of(made, geometry, shapes, config, torch.zeros(0, dtype=torch.uint8))
        for _ in range(passes)
    ]
    if device == "cpu":
        batch = [cut_by_torch(micro) for micro in batch]
    tokens = sum(micro.num_tokens for micro in batch)

    def step() -> float:
        began = time.perf_counter()
        optimise(trained, geometry, batch, config, 1e-6)
        return time.perf_counter() - began

    step()
    if device == "cpu":
        peak = allocated_at_peak(step)
        held = [*network.parameters(), *network.buffers()]
        held += [m for moments in trained.optimizer.state.values() for m in moments.values()]
        return peak + sum(t.nbytes for t in {id(t): t for t in held}.values()), step(), tokens
    torch.cuda.reset_peak_memory_stats()
    seconds = min(step() for _ in range(2))
    return torch.cuda.max_memory_allocated(), seconds, tokens


def cut_by_torch(micro: Any) -> Any:
    """The same micro-batch, whose patches torch will cut: its allocator does not see NumPy's memory."""
    import torch

    films = [
        replace(film, pixels_THWC=torch.nn.Parameter(film.pixels_THWC, requires_grad=False))
        for film in micro.films
    ]
    return replace(micro, films=tuple(films))


def allocated_at_peak(work: Callable[[], Any]) -> int:
    """Bytes that torch's CPU allocator hands out within `work`, at most at a time."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    now, peak = 0, 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


class _NoDecoder(MetaPathFinder, Loader):
    """Stands in for PyAV where it is not installed: nothing is decoded here."""

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        package = fullname.split(".")[0] == "av"
        return ModuleSpec(fullname, self, is_package=True) if package else None

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = _anything  # type: ignore[method-assign]


def _anything(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (Exception,), {})


def started(part: str, name: str, device: str) -> subprocess.Popen[str]:
    """Prediction or measurement of a setting, begun in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.plan_gpu", "--device", device]
    environment = dict(os.environ)
    if part == "predict":
        environment |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [*command, "--only", name, "--part", part],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a process has found out, or why it has not."""
    out, err = process.communicate()
    if process.returncode:
        return {"failed": (err.strip().splitlines() or ["without a word"])[-1]}
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found


def joined(name: str, predicted: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """A row of the results."""
    row = {"name": name, **predicted, **measured}
    if "failed" in row:
        return row
    row["ratio"] = row["predicted_gib"] / row["measured_gib"]
    row["model_tflops_per_s"] = row["flops"] / row["step_s"] / 1e12
    best = row["device_flops_per_s"]
    return row | {"mfu": row["flops"] / row["step_s"] / best if best else None}


def main() -> None:
    """Run the settings one after the other, each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--out", type=Path, default=Path("plan_gpu.json"))
    parser.add_argument("--only")
    parser.add_argument("--part", choices=["predict", "measure"])
    options = parser.parse_args()
    if find_spec("av") is None:
        sys.meta_path.append(_NoDecoder())
    settings = GPU if options.device == "cuda" else CPU
    if options.part:
        work = predict if options.part == "predict" else measure
        print(json.dumps(work(settings[options.only], options.device)))
        return
    names = [options.only] if options.only else list(settings)
    many = (os.cpu_count() or 1) > len(names)
    coming = {name: started("predict", name, options.device) for name in names if many}
    rows = []
    for name in names:
        measured = ended(started("measure", name, options.device))
        predicted = ended(coming.get(name) or started("predict", name, options.device))
        rows.append(joined(name, predicted, measured))
        write(rows, options.out)
        row = rows[-1]
        told = row.get("failed") or (
            f"{row['predicted_gib']:.2f} GiB predicted, {row['measured_gib']:.2f} measured "
            f"({row['ratio']:.3f}), {row['tokens_per_s']:.0f} tokens/s, {row['step_s']:.2f} s a step"
        )
        print(name, told, flush=True)


if __name__ == "__main__":
    main()
