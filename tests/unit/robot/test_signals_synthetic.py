"""Boundaries of random robots: found without being told the column, its unit or its direction."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from synthetic_hands import Truth, draw_dataset
from synthetic_robots import draw_robot

from kairoscope.robot.episode import Channel, Episode
from kairoscope.robot.signals import Evidence, find_grippers, match, moments

TOLERANCE_S = 0.25
SEEDS = range(8000, 8060)
"""Never looked at while weights were set."""


def found_in(dataset: Sequence[Truth]) -> list[list[Evidence]]:
    grippers = find_grippers([truth.episode for truth in dataset], dataset[0].query)
    return [list(match(moments(t.episode, grippers), t.query, t.episode.times_s)) for t in dataset]


def hits(dataset: Sequence[Truth]) -> tuple[int, int, int]:
    """(inside the true motion +-0.25 s, elsewhere, without an answer)."""
    right = wrong = silent = 0
    for truth, evidence in zip(dataset, found_in(dataset), strict=True):
        for (start, end), one in zip(truth.intervals_s, evidence, strict=True):
            if one.time_s is None:
                silent += 1
            elif start - TOLERANCE_S <= one.time_s <= end + TOLERANCE_S:
                right += 1
            else:
                wrong += 1
    return right, wrong, silent


@pytest.fixture(scope="module")
def outcomes() -> dict[int, tuple[int, int, int]]:
    return {seed: hits(draw_dataset(seed)) for seed in SEEDS}


def test_at_least_95_percent_of_240_random_episodes(
    outcomes: dict[int, tuple[int, int, int]],
) -> None:
    right, wrong, silent = (sum(column) for column in zip(*outcomes.values(), strict=True))
    assert right >= 0.95 * (right + wrong + silent), (right, wrong, silent)


def test_hands_that_begin_open_are_right_still_more_often(
    outcomes: dict[int, tuple[int, int, int]],
) -> None:
    robots = {seed: draw_robot(np.random.default_rng([77, seed])) for seed in SEEDS}
    easy = [outcomes[seed] for seed, robot in robots.items() if robot.rest_level == 0]
    right, wrong, silent = (sum(column) for column in zip(*easy, strict=True))
    assert right >= 0.96 * (right + wrong + silent), (right, wrong, silent)


def frames(dataset: Sequence[Truth]) -> list[list[int | None]]:
    return [[one.frame for one in evidence] for evidence in found_in(dataset)]


def with_channels(
    dataset: Sequence[Truth], change: Callable[[Episode], tuple[Channel, ...]]
) -> list[Truth]:

    return [
        Truth(replace(t.episode, channels=change(t.episode)), t.query, t.intervals_s)
        for t in dataset
    ]


@pytest.mark.parametrize("seed", [8000, 8003, 8011])
def test_units_and_offsets_of_columns_do_not_matter(seed: int) -> None:
    dataset = draw_dataset(seed)
    rng = np.random.default_rng(seed)
    width = max(c.values_TD.shape[1] for t in dataset for c in t.episode.channels)
    factors, offsets = rng.uniform(0.01, 100.0, width), rng.normal(0.0, 10.0, width)

    def in_other_units(episode: Episode) -> tuple[Channel, ...]:
        return tuple(
            channel
            if channel.kind == "eef_pose"  # one unit for all three axes
            else replace(
                channel,
                values_TD=channel.values_TD * factors[: channel.values_TD.shape[1]]
                + offsets[: channel.values_TD.shape[1]],
            )
            for channel in episode.channels
        )

    def in_other_length(episode: Episode) -> tuple[Channel, ...]:
        return tuple(
            replace(c, values_TD=c.values_TD * 1000.0) if c.kind == "eef_pose" else c
            for c in episode.channels
        )

    assert frames(with_channels(dataset, in_other_length)) == frames(dataset)
    if len({c.name for c in dataset[0].episode.channels if c.kind != "eef_pose"}) == 1:
        assert frames(with_channels(dataset, in_other_units)) == frames(dataset)


@pytest.mark.parametrize("seed", [8001, 8002, 8004, 8005])
def test_a_hand_recorded_upside_down_closes_at_the_same_frames(seed: int) -> None:
    dataset = draw_dataset(seed)

    def upside_down(episode: Episode) -> tuple[Channel, ...]:
        return tuple(
            c if c.kind == "eef_pose" else replace(c, values_TD=-c.values_TD)
            for c in episode.channels
        )

    assert frames(with_channels(dataset, upside_down)) == frames(dataset)


@pytest.mark.parametrize("seed", [8006, 8007])
def test_order_of_episodes_and_channels_and_dead_columns_do_not_matter(seed: int) -> None:
    dataset = draw_dataset(seed)

    def with_dead_channel(episode: Episode) -> tuple[Channel, ...]:
        dead = np.full((len(episode.times_s), 3), 0.7)
        extra = Channel(name="other/constants", kind="state", values_TD=dead)
        return (extra, *episode.channels[::-1])

    expected = frames(dataset)
    assert frames(with_channels(dataset, with_dead_channel)) == expected
    assert frames(dataset[::-1]) == expected[::-1]


def test_columns_of_arms_alone_are_no_gripper() -> None:
    wrong = 0
    for seed in range(8100, 8120):
        dataset = draw_dataset(seed, 3)
        robot = draw_robot(np.random.default_rng([77, seed]))
        if robot.layout != "arm, hand" or robot.num_arms != 1:
            continue
        arms = [
            replace(
                truth.episode,
                channels=tuple(
                    c
                    if c.kind == "eef_pose"
                    else replace(c, values_TD=c.values_TD[:, : robot.num_joints])
                    for c in truth.episode.channels
                ),
            )
            for truth in dataset
        ]
        wrong += bool(find_grippers(arms))
    assert wrong <= 1


def test_many_episodes_are_read_one_by_one_and_no_more_than_needed() -> None:
    truth = draw_dataset(8000, 1)[0]
    read = 0

    def episodes() -> Iterator[Episode]:
        nonlocal read
        while True:
            read += 1
            yield truth.episode

    assert find_grippers(episodes())
    assert read <= 32
