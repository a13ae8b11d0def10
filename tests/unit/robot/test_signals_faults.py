"""Signals as recordings have them on bad days."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_hands import draw_dataset

from kairoscope.robot.columns import table_of
from kairoscope.robot.episode import Channel, Episode, UnreadableEpisode
from kairoscope.robot.signals import describe, find_grippers, match, moments

QUERY = ("grasping it", "releasing it")


def episode(num_frames: int, *channels: Channel) -> Episode:
    return Episode(id="demo_0", times_s=np.arange(num_frames) / 20.0, channels=channels)


def test_nothing_at_all() -> None:
    assert find_grippers([]) == ()
    for empty in (episode(0), episode(1), episode(100)):
        assert find_grippers([empty]) == ()
        assert moments(empty, ()) == ()
    found = match((), QUERY, np.array([0.0]))
    assert [one.frame for one in found] == [None, None]


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 5, 6, 9])
def test_episodes_of_a_few_frames(num_frames: int) -> None:
    values = np.random.default_rng(0).normal(size=(num_frames, 7))
    short = episode(num_frames, Channel(name="state", kind="state", values_TD=values))
    dataset = draw_dataset(8001, 2)
    grippers = find_grippers([short, *(truth.episode for truth in dataset)])
    for one in match(moments(short, grippers), QUERY, short.times_s):
        assert one.probabilities_T.sum() == pytest.approx(1.0)


def test_channels_of_another_length_are_named() -> None:
    wrong = episode(50, Channel(name="action", kind="action", values_TD=np.zeros((49, 7))))
    with pytest.raises(UnreadableEpisode, match="action has 49 rows, the episode has 50"):
        find_grippers([wrong])


def test_times_that_stand_still_are_named() -> None:
    still = replace(episode(5), times_s=np.array([0.0, 0.1, 0.1, 0.2, 0.3]))
    with pytest.raises(UnreadableEpisode, match="do not ascend"):
        moments(still, ())


def test_gaps_are_bridged_and_columns_without_values_left_out() -> None:
    values = np.arange(20.0).reshape(10, 2)
    values[3:5, 0] = np.nan
    values[:, 1] = np.inf
    table = table_of(episode(10, Channel(name="state", kind="state", values_TD=values)))
    assert [column.index for column in table.columns] == [0]
    assert np.array_equal(table.values_TK[:, 0], np.arange(0.0, 20.0, 2.0))


def test_a_few_missing_values_change_nothing() -> None:
    dataset = draw_dataset(8002)
    rng = np.random.default_rng(0)
    holed = []
    for truth in dataset:
        channels = []
        for channel in truth.episode.channels:
            values = channel.values_TD.copy()
            values[rng.choice(len(values), 3, replace=False)] = np.nan
            channels.append(replace(channel, values_TD=values))
        holed.append(replace(truth.episode, channels=tuple(channels)))
    query = dataset[0].query
    plain = find_grippers([truth.episode for truth in dataset], query)
    grippers = find_grippers(holed, query)
    assert [g.title for g in grippers] == [g.title for g in plain]
    for truth, other in zip(dataset, holed, strict=True):
        before = match(moments(truth.episode, plain), query, truth.episode.times_s)
        after = match(moments(other, grippers), query, other.times_s)
        for a, b in zip(before, after, strict=True):
            assert a.time_s is not None
            assert b.time_s == pytest.approx(a.time_s, abs=0.2)


def test_an_episode_that_lacks_the_hand_has_no_grasp_and_says_so() -> None:
    dataset = draw_dataset(8001)
    grippers = find_grippers([truth.episode for truth in dataset])
    assert grippers
    other = episode(80, Channel(name="elsewhere", kind="state", values_TD=np.zeros((80, 2))))
    for one in match(moments(other, grippers), QUERY, other.times_s):
        assert one.frame is None
        assert "found" in one.reason


def test_a_hand_that_never_moves_in_an_episode() -> None:
    dataset = draw_dataset(8001)
    grippers = find_grippers([truth.episode for truth in dataset])
    first = dataset[0].episode
    still = replace(
        first,
        channels=tuple(
            replace(c, values_TD=np.repeat(c.values_TD[:1], len(c.values_TD), axis=0))
            for c in first.channels
        ),
    )
    assert all(one.frame is None for one in match(moments(still, grippers), QUERY, first.times_s))


def test_descriptions_name_the_columns_and_the_reasons() -> None:
    dataset = draw_dataset(8000)
    (gripper, *_) = find_grippers([truth.episode for truth in dataset], dataset[0].query)
    text = describe(gripper)
    assert gripper.title in text
    assert gripper.reasons[0].text in text
    assert gripper.polarity >= 0
    assert gripper.score == pytest.approx(sum(r.log_odds for r in gripper.reasons), abs=0.05)
    assert gripper.polarity == pytest.approx(
        sum(r.log_odds for r in gripper.polarity_reasons), abs=0.05
    )


def test_rates_rewards_and_flags_are_no_grippers() -> None:
    dataset = draw_dataset(8001)
    grippers = find_grippers([truth.episode for truth in dataset])
    with_more = []
    for truth in dataset:
        count = len(truth.episode.times_s)
        done = np.zeros((count, 1))
        done[-1] = 1.0
        reward = np.linspace(0.0, 1.0, count)[:, None]
        state = truth.episode.channels[0].values_TD
        more = (
            Channel(name="next.done", kind="other", values_TD=done),
            Channel(name="next.reward", kind="other", values_TD=reward),
            Channel(name="gripper_qvel", kind="state", values_TD=np.gradient(state, axis=0)),
        )
        with_more.append(replace(truth.episode, channels=(*truth.episode.channels, *more)))
    assert [g.title for g in find_grippers(with_more)] == [g.title for g in grippers]
