"""Speeds of a step: what it held, over its time, summed over all processes."""

from dataclasses import replace
from typing import Any

import pytest
from tiny_models import POLICY, make_checkpoint

from kairoscope.config import SFTConfig
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.clips import ClipStore
from kairoscope.train.examples import plain_example
from kairoscope.train.group import Group
from kairoscope.train.micro import micro_batches
from kairoscope.train.pace import SPEEDS, Pace
from kairoscope.train.trainable import prepare


@pytest.fixture(scope="module")
def checkpoint(tokenizer: Any) -> Any:
    made = make_checkpoint(tokenizer, "qwen2_5_vl")
    prepare(made.network, SFTConfig())
    return made


@pytest.fixture(scope="module")
def examples(checkpoint: Any, samples: Any) -> Any:
    store = ClipStore(POLICY, checkpoint.encoder.geometry, dense=False)
    return [plain_example(checkpoint.encoder, TASK, s, store.get(s), POLICY) for s in samples[:3]]


def test_what_a_step_held_over_its_time(checkpoint: Any, examples: Any) -> None:
    pace = Pace(checkpoint.network, Group())
    batch = micro_batches(examples, 2, checkpoint.encoder.geometry)
    row = pace.row(batch, 2.0)
    vision = sum(example.encoded.num_vision_tokens for example in examples)
    tokens = sum(example.num_tokens for example in examples)
    assert row["seconds"] == 2.0
    assert row["samples_per_s"] == 1.5
    assert row["vision_tokens_per_s"] == vision / 2
    assert row["text_tokens_per_s"] == (tokens - vision) / 2
    assert row["tflops_per_s"] == pytest.approx(pace.arithmetic.of_batch(batch) / 2e12, rel=1e-3)
    assert set(row) == {"seconds", *SPEEDS} - {"mfu"}


def test_packing_does_not_change_what_is_counted_but_for_lengths(
    checkpoint: Any, examples: Any
) -> None:
    pace = Pace(checkpoint.network, Group())
    geometry = checkpoint.encoder.geometry
    rows, packed = (pace.row(micro_batches(examples, 3, geometry, n), 1.0) for n in (None, 9999))
    for name in SPEEDS[:3]:
        assert rows[name] == packed[name]
    assert rows["tflops_per_s"] == pytest.approx(packed["tflops_per_s"], rel=0.02)


def test_two_processes_are_twice_as_fast(
    checkpoint: Any, examples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Pace(checkpoint.network, Group())
    batch = micro_batches(examples, 2, checkpoint.encoder.geometry)
    monkeypatch.setattr(Group, "counts", lambda self, *numbers: [list(numbers)] * self.size)
    both = Pace(checkpoint.network, replace(Group(), size=2))
    one, two = alone.row(batch, 1.0), both.row(batch, 1.0)
    for name in SPEEDS[:3]:
        assert two[name] == 2 * one[name]


def test_mfu_is_a_share_of_what_the_devices_can_do(checkpoint: Any, examples: Any) -> None:
    pace = Pace(checkpoint.network, Group())
    batch = micro_batches(examples, 2, checkpoint.encoder.geometry)
    pace.peak = 4 * pace.arithmetic.of_batch(batch)
    assert pace.row(batch, 0.5)["mfu"] == pytest.approx(0.5, rel=1e-6)
