"""Who comes how often an epoch: exact counts, even turns, nothing depends on where a run began."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.core import Sample
from kairoscope.train.mixing import (
    Mix,
    balance_advice,
    batch_indices,
    epoch_order,
    epoch_size,
    everything,
    label_counts,
    label_of,
    strata_of,
)


def sample(number: int, answer: Any, source: str = "a", scenario: str = "stack") -> Any:
    name = f"{source}/{number}"
    return Sample(id=name, video=Path(name), query="", gold=answer, group=name, scenario=scenario)


def scored(*answers: int, source: str = "a") -> list[Any]:
    return [sample(number, answer, source) for number, answer in enumerate(answers)]


@given(st.integers(1, 50), st.integers(0, 5), st.integers(0, 3))
def test_without_a_mix_the_order_is_a_shuffle_of_everything(n: int, seed: int, epoch: int) -> None:
    expected = list(range(n))
    random.Random(f"{seed}/{epoch}").shuffle(expected)
    assert list(epoch_order(everything(n), seed, epoch)) == expected
    assert strata_of(scored(*range(n))) == everything(n)


answers = st.lists(st.integers(1, 5), min_size=1, max_size=40)


@given(answers, st.sampled_from(["up", "down"]), st.integers(0, 3))
@settings(max_examples=60)
def test_balanced_labels_come_equally_often_in_every_epoch(
    golds: list[int], balance: Any, seed: int
) -> None:
    samples = scored(*golds)
    strata = strata_of(samples, balance)
    sizes = Counter(golds)
    target = max(sizes.values()) if balance == "up" else min(sizes.values())
    for epoch in range(3):
        order = epoch_order(strata, seed, epoch)
        assert Counter(golds[i] for i in order) == dict.fromkeys(sizes, target)
        if balance == "up":
            assert set(order) == set(range(len(golds)))


@given(answers, st.floats(0.05, 3), st.integers(1, 12))
@settings(max_examples=60)
def test_turns_are_even_over_any_number_of_epochs(
    golds: list[int], weight: float, epochs: int
) -> None:
    samples = scored(*golds)
    mix = Mix(source_of={s.id: "a" for s in samples}, weights={"a": weight})
    strata = strata_of(samples, "none", mix)
    assert epoch_size(strata) == max(1, round(weight * len(golds)))
    seen = Counter(dict.fromkeys(range(len(golds)), 0))
    for epoch in range(epochs):
        seen.update(epoch_order(strata, 0, epoch))
    assert max(seen.values()) - min(seen.values()) <= 1


def test_sources_by_weight_each_balanced_in_itself() -> None:
    a, b = scored(1, 1, 1, 2, source="a"), scored(*[3] * 8, 4, 4, source="b")
    mix = Mix(source_of={**{s.id: "a" for s in a}, **{s.id: "b" for s in b}}, weights={"b": 0.5})
    plain = strata_of([*a, *b], "none", mix)
    assert [(s.name, s.per_epoch) for s in plain] == [("a", 4), ("b", 5)]
    up = strata_of([*a, *b], "up", mix)
    assert [(s.name, len(s.indices), s.per_epoch) for s in up] == [
        ("a: 1", 3, 3),
        ("a: 2", 1, 3),
        ("b: 3", 8, 4),
        ("b: 4", 2, 4),
    ]


@given(answers, st.integers(1, 9), st.sampled_from(["none", "up", "down"]))
@settings(max_examples=60)
def test_batches_are_full_and_the_same_from_any_step_on(
    golds: list[int], size: int, balance: Any
) -> None:
    strata = strata_of(scored(*golds), balance)
    epoch = epoch_size(strata)
    count = 3 * epoch // size + 2
    straight = [batch_indices(strata, 1, size, step) for step in range(count)]
    assert {len(batch) for batch in straight} == {size}
    assert batch_indices(strata, 1, size, count // 2) == straight[count // 2]
    flat = [index for batch in straight for index in batch]
    for number in range(len(flat) // epoch):
        assert tuple(flat[number * epoch : (number + 1) * epoch]) == epoch_order(strata, 1, number)


def test_seeds_and_epochs_take_others() -> None:
    strata = strata_of(scored(*[1] * 30, 2), "down")
    taken = [next(i for i in epoch_order(strata, 0, e) if i < 30) for e in range(30)]
    assert sorted(taken) == list(range(30))
    assert [epoch_order(strata, 1, e) for e in range(5)] != [
        epoch_order(strata, 0, e) for e in range(5)
    ]


def test_a_label_is_a_short_answer_or_else_the_task() -> None:
    assert label_of(sample(0, 4)) == "4"
    assert label_of(sample(0, "yes")) == "yes"
    assert label_of(sample(0, (("grasp", 1.0),), scenario="coffee")) == "coffee"


@pytest.mark.parametrize(
    ("golds", "balance", "said"),
    [
        ([4] * 6 + [1] * 2, "none", "4 comes 6 times, 1 2 times"),
        ([4] * 6 + [1] * 2, "up", None),
        ([4] * 5 + [1] * 2, "none", None),
        ([], "none", None),
    ],
)
def test_uneven_labels_are_said(golds: list[int], balance: Any, said: str | None) -> None:
    advice = balance_advice(label_counts(scored(*golds)), balance)
    assert (said in advice) if said and advice else advice is None
