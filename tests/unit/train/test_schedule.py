"""Schedules in closed form; every sample once an epoch."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.config import SFTConfig
from kairoscope.train.schedule import (
    batch_indices,
    learning_rate,
    num_steps,
    warmup_advice,
    warmup_steps,
)


@given(st.integers(0, 30), st.integers(1, 200), st.floats(0, 1))
@settings(max_examples=60)
def test_cosine_in_closed_form(warmup: int, steps: int, floor: float) -> None:
    config = SFTConfig(learning_rate=3e-4, warmup_steps=warmup, min_learning_rate_ratio=floor)
    rates = [learning_rate(config, step, steps) for step in range(steps)]
    for step, rate in enumerate(rates):
        if step < warmup:
            assert rate == pytest.approx(3e-4 * (step + 1) / (warmup + 1))
        else:
            angle = math.pi * (step - warmup) / max(1, steps - warmup)
            expected = floor + (1 - floor) * (1 + math.cos(angle)) / 2
            assert rate == pytest.approx(3e-4 * expected)
    assert all(0 < rate <= 3e-4 * (1 + 1e-9) for rate in rates[: steps - 1])
    after = rates[warmup:]
    assert after == sorted(after, reverse=True)


@given(st.integers(1, 1000))
def test_without_a_number_of_its_own_the_warm_up_is_a_tenth_at_most(steps: int) -> None:
    config = SFTConfig()
    warmup = warmup_steps(config, steps)
    assert warmup == min(20, steps // 10)
    rates = [learning_rate(config, step, steps) for step in range(steps)]
    assert rates.index(max(rates)) == warmup
    assert warmup_advice(config, steps) is None
    assert warmup_steps(replace(config, warmup_steps=77), steps) == 77


def test_a_warm_up_of_most_of_the_run_is_advised_against() -> None:
    config = SFTConfig(warmup_steps=15)
    assert warmup_advice(config, 30) is None
    advice = warmup_advice(config, 29)
    assert advice is not None
    assert advice.startswith("warmup_steps is 15 and the run has 29 steps")
    assert advice.endswith("with warmup_steps=none the warm-up takes 2 steps")


def test_constant_stays_after_the_warm_up() -> None:
    config = SFTConfig(learning_rate=1.0, warmup_steps=3, schedule="constant")
    assert [learning_rate(config, s, 8) for s in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_number_of_steps() -> None:
    config = SFTConfig(epochs=3, batch_size=32)
    assert num_steps(config, 320) == 30
    assert num_steps(config, 1) == 1
    assert num_steps(replace(config, max_steps=7), 320) == 7
    assert num_steps(replace(config, max_steps=70), 320) == 30


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 9))
@settings(max_examples=60)
def test_every_sample_once_an_epoch_from_any_step_on(samples: int, size: int, seed: int) -> None:
    config = SFTConfig(batch_size=size, seed=seed)
    count = 3 * samples // size + 2
    straight = [batch_indices(config, samples, step) for step in range(count)]
    assert batch_indices(config, samples, count // 2) == straight[count // 2]
    assert {len(batch) for batch in straight} == {size}
    flat = [index for batch in straight for index in batch]
    for epoch in range(len(flat) // samples):
        assert sorted(flat[epoch * samples : (epoch + 1) * samples]) == list(range(samples))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    config = SFTConfig(batch_size=20)
    first, second = (batch_indices(config, 20, step) for step in (0, 1))
    other = batch_indices(replace(config, seed=1), 20, 0)
    assert first != second
    assert first != other
