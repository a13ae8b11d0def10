"""Laws of the split: no group on both sides, nothing lost, the order of samples is no matter."""

from collections import defaultdict
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairoscope.core import Sample
from kairoscope.data.split import split_by_group

TextSample = Sample[str, str]


def sample(number: int, group: str, scenario: str) -> TextSample:
    name = f"{number:03}.mp4"
    return Sample(id=name, video=Path(name), query="", gold="", group=group, scenario=scenario)


@st.composite
def samples(draw: st.DrawFn) -> list[TextSample]:
    pairs = st.tuples(st.sampled_from("abcdefghijkl"), st.sampled_from(["stack", "coffee", "nut"]))
    drawn = draw(st.lists(pairs, max_size=40))
    return [sample(number, *pair) for number, pair in enumerate(drawn)]


shares = st.floats(0, 0.95)
seeds = st.integers(0, 5)


@given(items=samples(), holdout=shares, seed=seeds)
def test_nothing_is_lost_and_no_group_is_on_both_sides(
    items: list[TextSample], holdout: float, seed: int
) -> None:
    train, held_out = split_by_group(items, holdout=holdout, seed=seed)
    assert sorted([*train, *held_out], key=lambda item: item.id) == items
    assert not {item.group for item in train} & {item.group for item in held_out}
    assert train or not items


@given(items=samples(), holdout=shares, seed=seeds, order=st.randoms(use_true_random=False))
def test_the_order_does_not_matter(
    items: list[TextSample], holdout: float, seed: int, order: Random
) -> None:
    shuffled = list(items)
    order.shuffle(shuffled)
    assert split_by_group(shuffled, holdout=holdout, seed=seed) == split_by_group(
        items, holdout=holdout, seed=seed
    )


@given(items=samples(), holdout=st.floats(0.01, 0.95), seed=seeds)
def test_every_scenario_with_three_groups_of_its_own_is_on_both_sides(
    items: list[TextSample], holdout: float, seed: int
) -> None:
    own = [
        sample(number, f"{item.scenario}-{item.group}", item.scenario)
        for number, item in enumerate(items)
    ]
    groups: dict[str, set[str]] = defaultdict(set)
    for item in own:
        groups[item.scenario].add(item.group)
    sides = split_by_group(own, holdout=holdout, seed=seed)
    for scenario, names in groups.items():
        if len(names) >= 3:
            counts = [len({i.group for i in side if i.scenario == scenario}) for side in sides]
            assert min(counts) >= 1
            rounded = abs(counts[1] - holdout * len(names)) <= 0.5 + 1e-9
            assert rounded or counts[1] in {1, len(names) - 1}


@given(items=samples(), holdout=shares, seed=seeds, shared=st.lists(st.integers(0, 4)))
def test_what_shares_a_clip_is_never_split(
    items: list[TextSample], holdout: float, seed: int, shared: list[int]
) -> None:
    same = {item.id: f"clip {clip}" for item, clip in zip(items, shared, strict=False)}
    train, held_out = split_by_group(items, holdout=holdout, seed=seed, same=same)
    assert not {item.group for item in train} & {item.group for item in held_out}
    clips = [{same[item.id] for item in side if item.id in same} for side in (train, held_out)]
    assert not clips[0] & clips[1]
    assert len(train) + len(held_out) == len(items)


def test_a_tenth_of_forty_groups() -> None:
    items = [sample(n, f"g{n // 2}", "stack" if n < 40 else "coffee") for n in range(80)]
    train, held_out = split_by_group(items, holdout=0.1, seed=3)
    assert len(train) == 72
    assert [sum(i.scenario == s for i in held_out) for s in ("stack", "coffee")] == [4, 4]
    assert split_by_group(items, holdout=0.1, seed=4)[1] != held_out
    assert split_by_group(items, holdout=0, seed=3) == (items, [])


def test_scenarios_of_single_clips_are_held_out_together() -> None:
    items = [sample(n, f"g{n}", f"scenario {n}") for n in range(20)]
    assert len(split_by_group(items, holdout=0.1, seed=0)[1]) == 2


def test_a_new_clip_moves_few_others() -> None:
    items = [sample(n, f"g{n}", "stack") for n in range(200)]
    before = split_by_group(items[:-1], holdout=0.1, seed=0)[1]
    after = split_by_group(items, holdout=0.1, seed=0)[1]
    assert len({item.id for item in before} ^ {item.id for item in after}) <= 2


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_groups_to_split(count: int) -> None:
    items = [sample(n, "g", "stack") for n in range(count)]
    assert split_by_group(items, holdout=0.5, seed=0) == (items, [])
