"""What a rehearsed step takes is what a real one takes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_models import POLICY, SIZE, make_checkpoint, qwen3_network

from kairoscope.config import LoraConfig, SFTConfig
from kairoscope.core import Sample
from kairoscope.models.scratch import new_network
from kairoscope.recipes.sizes import largest_micro_batch, measured
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.clips import ClipStore
from kairoscope.train.examples import plain_example
from kairoscope.train.flops import Arithmetic, gpu_named
from kairoscope.train.ledger import Ledger
from kairoscope.train.micro import micro_batch
from kairoscope.train.optimise import forward_losses
from kairoscope.train.rehearsal import Shape, geometry_of, rehearse
from kairoscope.train.trainable import prepare
from kairoscope.video.sampling import QWEN25_GEOMETRY

CONFIG = SFTConfig(batch_size=2, micro_batch_size=2)
SETTINGS = {
    "all": CONFIG,
    "adapters": replace(CONFIG, lora=LoraConfig(rank=2, alpha=4)),
    "checkpointed": replace(CONFIG, gradient_checkpointing=True),
    "bfloat16": replace(CONFIG, dtype="bfloat16"),
    "frozen": replace(CONFIG, freeze_vision=True),
    "packed": replace(CONFIG, packing=True),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def real_peak(
    tokenizer: Any, samples: list[Sample[Any, Any]], config: SFTConfig, family: Any
) -> int:
    """Bytes beyond the weights that torch's own allocator had handed out at the peak of a step."""
    checkpoint = make_checkpoint(tokenizer, family)
    prepare(checkpoint.network, config)
    geometry = checkpoint.encoder.geometry
    store = ClipStore(POLICY, geometry, dense=False)
    examples = [plain_example(checkpoint.encoder, TASK, s, store.get(s), POLICY) for s in samples]
    micro = micro_batch(examples, geometry, packed=config.packing)
    # Cut by torch, as for an accelerator: its allocator knows nothing of NumPy's memory.
    films = tuple(replace(film, pixels_THWC=as_parameter(film.pixels_THWC)) for film in micro.films)
    micro = replace(micro, films=films)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as seen:
        with torch.autocast(
            "cpu", torch.bfloat16, enabled=config.dtype == "bfloat16", cache_enabled=False
        ):
            answer, dense = forward_losses(checkpoint.network, geometry, micro)
            loss: Any = answer + dense
        loss.backward()
    now, peak = 0, 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


def as_parameter(tensor: torch.Tensor) -> torch.Tensor:
    return torch.nn.Parameter(tensor, requires_grad=False)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_peak_is_that_of_a_real_step(tokenizer: Any, samples: Any, name: str) -> None:
    check_peak(tokenizer, samples, SETTINGS[name], "qwen2_5_vl")


@pytest.mark.parametrize("name", ["all", "adapters"])
def test_so_it_is_of_the_newer_architecture(tokenizer: Any, samples: Any, name: str) -> None:
    check_peak(tokenizer, samples, SETTINGS[name], "qwen3_vl")


def check_peak(tokenizer: Any, samples: Any, config: SFTConfig, family: Any) -> None:
    chosen = sorted(samples, key=lambda s: s.duration_s)[-2:]
    shapes, unusable = measured(
        TASK, chosen, POLICY, geometry_of(config_of(tokenizer, family)), counter(tokenizer), 10_000,
        lambda *_: None,
    )  # fmt: skip
    assert not unusable
    network_config = config_of(tokenizer, family)
    found = rehearse(network_config, config, shapes, kind="cpu")
    planned = found.memory.gradients + found.memory.activations
    assert planned == pytest.approx(real_peak(tokenizer, chosen, config, family), rel=0.15)


def config_of(tokenizer: Any, family: Any) -> Any:
    made = (
        new_network(tokenizer, SIZE, 0) if family == "qwen2_5_vl" else qwen3_network(tokenizer, 0)
    )
    return made.config


@pytest.mark.parametrize(
    ("family", "lora"), [("qwen2_5_vl", LoraConfig(rank=2, alpha=4)), ("qwen3_vl", None)]
)
def test_compiled_layers_take_less_than_others_and_more_than_recomputed_ones(
    tokenizer: Any, family: Any, lora: LoraConfig | None
) -> None:
    """What torch keeps depends on the share of the activations that it may keep."""
    network_config = config_of(tokenizer, family)
    shapes = [Shape(grid_thw=(2, 4, 4), num_text=600, num_answer=10)]

    def activations(**changes: Any) -> int:
        config = replace(CONFIG, lora=lora, dtype="bfloat16", **changes)
        return rehearse(network_config, config, shapes, kind="cuda").memory.activations

    compiled = activations(compile=True)
    assert compiled < activations()
    lean = activations(compile=True, kept_activations=0.2)
    assert 0 < lean < compiled
    checkpointed = activations(gradient_checkpointing=True)
    assert activations(compile=True, gradient_checkpointing=True) == checkpointed


def counter(tokenizer: Any) -> Any:
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_sizes_are_those_of_the_examples(tokenizer: Any, samples: Any, family: Any) -> None:
    encoder = make_checkpoint(tokenizer, family).encoder
    store = ClipStore(POLICY, encoder.geometry, dense=False)
    shapes, _ = measured(
        TASK, samples, POLICY, encoder.geometry, counter(tokenizer), 10_000, lambda *_: None
    )
    for sample, shape in zip(samples, shapes, strict=True):
        example = plain_example(encoder, TASK, sample, store.get(sample), POLICY)
        assert shape.grid_thw == example.encoded.grid_thw
        assert shape.num_vision(2) == example.encoded.num_vision_tokens
        assert shape.num_answer == len(example.answer_ids)
        assert shape.num_tokens(2) == example.num_tokens


def test_what_is_too_long_is_left_out(tokenizer: Any, samples: Any) -> None:
    shapes, unusable = measured(
        TASK, samples, POLICY, QWEN25_GEOMETRY, counter(tokenizer), 10, lambda *_: None
    )
    assert not shapes
    assert len(unusable) == len(samples)


def test_the_largest_micro_batch_has_the_longest_samples() -> None:
    shapes = [Shape(grid_thw=(n, 4, 4), num_text=10, num_answer=5) for n in (3, 1, 4, 2)]
    config = replace(CONFIG, batch_size=12, micro_batch_size=3)
    largest, passes = largest_micro_batch(shapes, config, 2, 2)
    assert [shape.grid_thw[0] for shape in largest] == [4, 3, 2]
    assert passes == 2
    alone, passes = largest_micro_batch(shapes, replace(config, batch_size=2), 2, 2)
    assert (len(alone), passes) == (1, 1)


def test_a_ledger_counts_what_is_held_and_forgets_what_is_let_go() -> None:
    with Ledger(512) as ledger:
        held = torch.zeros(1000)
        view = held.view(10, 100)
        before = ledger.now
        temporary = torch.ones(2000)
        del temporary
    assert before == 4096  # 4000 bytes in blocks of 512
    assert ledger.now == before
    assert ledger.peak == before + 8192
    del view
    assert ledger.now == before
    del held
    assert ledger.now == 0


def test_operations_of_a_dense_network_are_six_a_weight_and_token(tokenizer: Any) -> None:
    network = make_checkpoint(tokenizer, "qwen2_5_vl").network
    prepare(network, CONFIG)
    count = Arithmetic.of(network)
    layers = network.model.language_model.layers
    weights = sum(p.numel() for p in layers.parameters() if p.ndim >= 2)
    attention = 4 * 48 * 2 * 100 * 100 / 2
    assert count.step([100], 0, []) == 3 * (2 * weights * 100 + attention)
    head = network.lm_head.weight.numel()
    assert count.step([100], 7, []) - count.step([100], 0, []) == 6 * head * 7
    seen = count.step([100], 0, [(2, 6, 6)]) - count.step([100], 0, [])
    tower = network.model.visual
    merger = sum(p.numel() for p in tower.merger.parameters() if p.ndim >= 2)
    rest = sum(p.numel() for p in tower.parameters() if p.ndim >= 2) - merger
    assert seen > 3 * 2 * (rest * 72 + merger * 18)


def test_adapters_cost_no_gradient_of_the_weights(tokenizer: Any) -> None:
    costs = []
    for lora in (None, LoraConfig(rank=2, alpha=4)):
        network = make_checkpoint(tokenizer, "qwen2_5_vl").network
        prepare(network, replace(CONFIG, lora=lora))
        costs.append(Arithmetic.of(network).step([100], 5, []))
    assert costs[1] == costs[0] * 2 / 3


@pytest.mark.parametrize(
    ("driver", "key"),
    [
        ("NVIDIA H200", "h200"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA A100-SXM4-40GB", "a100-40gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("Tesla T4", None),
    ],
)
def test_gpus_are_known_by_their_drivers_names(driver: str, key: str | None) -> None:
    assert gpu_named(driver) == key
