"""Which demonstrations to label first."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairoscope.robot.episode import Channel, Episode
from kairoscope.robot.examples import choose_examples, closings, medoids
from kairoscope.robot.signals import find_grippers


def episode(
    name: str, duration_s: float, close_at: float = 0.5, *, signals: bool = True
) -> Episode:
    times_s = np.arange(0, duration_s, 0.05)
    phase = times_s / times_s[-1]
    arm = np.stack([np.sin(3 * phase + i) for i in range(3)], axis=1)
    opening = np.where((phase > close_at) & (phase < close_at + 0.3), 0.1, 1.0)[:, None]
    channels = (
        Channel(name="gripper", kind="gripper", values_TD=opening),
        Channel(name="arm", kind="state", values_TD=arm),
    )
    return Episode(id=name, times_s=times_s, channels=channels if signals else ())


@settings(deadline=None)
@given(
    durations=st.lists(st.floats(2, 20), min_size=1, max_size=8),
    k=st.integers(0, 9),
    order=st.randoms(),
)
def test_choices_are_nested_and_do_not_hang_on_the_order(
    durations: list[float], k: int, order: object
) -> None:
    episodes = [episode(f"e{i}", d, signals=False) for i, d in enumerate(durations)]
    chosen = choose_examples(episodes, k)
    assert len(chosen) == len(set(chosen)) == min(k, len(episodes))
    order.shuffle(episodes)  # type: ignore[attr-defined]
    assert choose_examples(iter(episodes), k) == chosen
    assert choose_examples(episodes, k + 1)[: len(chosen)] == chosen


def test_durations_alone_put_a_typical_episode_first() -> None:
    durations = (5.0, 5.1, 5.2, 5.3, 5.4, 19.0)
    episodes = [episode(f"e{i}", d, signals=False) for i, d in enumerate(durations)]
    assert choose_examples(episodes, 1) == ("e2",)
    assert set(choose_examples(episodes, 2)) == {"e2", "e5"}


def test_signals_tell_two_ways_of_doing_it_apart() -> None:
    episodes = [episode(f"early{i}", 6 + 0.01 * i, 0.2) for i in range(4)]
    episodes += [episode(f"late{i}", 6 + 0.01 * i, 0.6) for i in range(3)]
    first, second = choose_examples(episodes, 2, find_grippers(episodes))
    assert first.startswith("early")
    assert second.startswith("late")


def missing_once(name: str, duration_s: float) -> Episode:
    """The hand closes on nothing and opens again before it grasps."""
    one = episode(name, duration_s)
    gripper, arm = one.channels
    phase = one.times_s / one.times_s[-1]
    opening = np.where((phase > 0.2) & (phase < 0.3), 0.1, gripper.values_TD[:, 0])[:, None]
    return Episode(
        id=name, times_s=one.times_s, channels=(replace(gripper, values_TD=opening), arm)
    )


def test_the_third_is_one_whose_hand_closes_more_often() -> None:
    episodes = [episode(f"e{i}", 6 + 0.1 * i) for i in range(12)] + [missing_once("odd", 6.5)]
    grippers = find_grippers(episodes)
    assert [closings(one, grippers) for one in episodes] == [(1,)] * 12 + [(2,)]
    assert "odd" not in choose_examples(episodes, 2, grippers)
    assert choose_examples(episodes, 3, grippers)[2] == "odd"
    assert (
        choose_examples(episodes[:-1], 4, grippers)
        == choose_examples(episodes[:-1], 13, grippers)[:4]
    )


def test_medoids_have_the_smallest_sum_of_distances() -> None:
    points = np.random.default_rng(0).normal(size=(30, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert medoids(distances, 1) == [int(distances.sum(0).argmin())]
    left = [np.minimum.reduce(distances[medoids(distances, k)]).sum() for k in (1, 2, 5, 30)]
    assert left == sorted(left, reverse=True)
    assert left[-1] == pytest.approx(0)


def test_no_episodes_and_short_ones_do_no_harm() -> None:
    assert choose_examples([], 3) == ()
    assert choose_examples([Episode(id="a", times_s=np.zeros(1))], 3) == ("a",)
