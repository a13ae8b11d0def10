"""A plan from small files alone: what fits, what does not, and what to change."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import POLICY, SIZE, make_samples

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import UserError
from kairoscope.events import Event
from kairoscope.models.scratch import make_checkpoint
from kairoscope.recipes import get_recipe
from kairoscope.recipes.machines import Machine, gpus
from kairoscope.recipes.planning import Plan, _changes, on_each_device, plan_stage
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.rehearsal import Memory, Rehearsed

CONFIG = SFTConfig(batch_size=4, micro_batch_size=2, epochs=3)
HERE = Machine(kind="cpu", count=1, memory_gib=4.0, operations_per_s=1e11)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data`: six labelled clips; `model`: a checkpoint without its weights."""
    folder = tmp_path_factory.mktemp("plan")
    samples = make_samples(folder / "data", 6)
    rows = []
    for sample in samples:
        events = [as_row(event) for event in sample.gold or ()]
        rows.append({"video": sample.video.name, "events": events, "task": "t"})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "data" / "labels.jsonl").write_text(lines)
    make_checkpoint(folder / "whole", TASK, samples, POLICY, SIZE, 0)
    (folder / "model").mkdir()
    for name in ("config.json", "kairoscope.json", "tokenizer.json"):
        shutil.copy(folder / "whole" / name, folder / "model")
    return folder


def as_row(event: Event) -> dict[str, Any]:
    row: dict[str, Any] = {"name": event.name, "end_s": event.end_s}
    return row if event.start_s is None else row | {"start_s": event.start_s}


def planned(place: Path, machine: Machine, **changes: Any) -> Plan:
    return plan_stage(
        get_recipe("subtask-times"),
        model=str(place / "model"),
        data=place / "data",
        config=replace(CONFIG, **changes),
        frames={},
        machine=machine,
        on_progress=lambda *_: None,
    )


def test_what_fits_is_said_with_steps_tokens_and_hours(place: Path) -> None:
    plan = planned(place, HERE)
    assert plan.fits
    assert plan.ways == ()
    assert plan.num_samples == 6
    assert plan.num_steps == 4  # 3 epochs of 6 samples in batches of 4, rounded
    assert plan.passes == 2
    assert plan.num_weights == plan.num_trained
    assert 0 < plan.vision_tokens_per_step < plan.tokens_per_step
    assert plan.memory.weights < plan.memory.peak < HERE.memory_gib * 2**30
    assert plan.memory.optimizer == 2 * plan.memory.gradients
    slower = planned(place, replace(HERE, operations_per_s=HERE.operations_per_s / 2))
    assert slower.hours == pytest.approx(2 * plan.hours)


def test_what_does_not_fit_comes_with_changes_until_it_does(place: Path) -> None:
    peak = planned(place, HERE).memory.peak / 2**30
    tight = planned(place, replace(HERE, memory_gib=peak * 0.8))
    assert not tight.fits
    assert "gradient_checkpointing" in tight.ways[0].change
    peaks = [peak, *(way.peak_gib for way in tight.ways)]
    assert min(peaks) == peaks[-1] < peak
    assert [way.fits for way in tight.ways] == [False] * (len(tight.ways) - 1) + [True]


def test_changes_go_from_what_costs_least_to_what_costs_most() -> None:
    eight_gpus = gpus("h100", 8)
    words = [words for words, _, _ in _changes(SFTConfig(micro_batch_size=8), eight_gpus)]
    assert words == [
        '--set dtype="bfloat16"',
        "--set gradient_checkpointing=true",
        "--set micro_batch_size=2",
        "--set micro_batch_size=1",
        '--set parallel="fsdp"',
        "--set freeze_vision=true",
        "--set lora.rank=16 (adapters instead of all weights)",
        "--frames total_pixels: 1/2 of now",
        "--frames total_pixels: 1/4 of now",
    ]
    compiled = SFTConfig(compile=True, dtype="bfloat16", micro_batch_size=1)
    first, second, *_ = [words for words, _, _ in _changes(compiled, eight_gpus)]
    assert (first, second) == ("--set kept_activations=0.4", words[1])
    lean = SFTConfig(micro_batch_size=1, gradient_checkpointing=True, lora=LoraConfig())
    assert [words for words, _, _ in _changes(lean, HERE)] == words[-2:]


def test_adapters_take_less(place: Path) -> None:
    whole, adapters = planned(place, HERE), planned(place, HERE, lora=LoraConfig(rank=2))
    assert adapters.num_trained < whole.num_trained / 5
    assert adapters.memory.optimizer < whole.memory.optimizer / 5


def test_fsdp_shares_out_what_is_held() -> None:
    gib = 2**30
    memory = Memory(
        weights=28 * gib,
        gradients=28 * gib,
        optimizer=56 * gib,
        activations=10 * gib,
        logits=0,
        cache=0,
    )
    found: Any = Rehearsed(
        num_weights=1,
        num_trained=1,
        memory=memory,
        arithmetic=None,  # type: ignore[arg-type]
        blocks=(gib,) * 24,
    )
    config = replace(CONFIG, parallel="fsdp")
    shared = on_each_device(found, config, 8)
    assert shared.weights + shared.gradients + shared.optimizer == 14 * gib
    assert shared.activations == memory.activations
    assert 0 < shared.communication < 14 * gib
    assert on_each_device(found, replace(config, parallel="ddp"), 8) == memory
    apart = on_each_device(replace(found, unshared=4 * gib, blocks=(gib,) * 20), config, 8)
    assert apart.weights == 7 * gib  # a frozen tower is whole everywhere
    assert on_each_device(found, replace(config, parallel="hsdp"), 64) == shared
    assert on_each_device(found, config, 1) == memory


def test_a_gpu_that_is_not_known_is_refused() -> None:
    assert gpus("h200", 2).operations_per_s == 989e12
    with pytest.raises(UserError, match=r"--gpu tpu: not known; allowed: h200, h100"):
        gpus("tpu", 1)
