"""Demonstrations of random robots with random grippers, and the true motions of their fingers.

A dataset is one robot and a few episodes of one plan: reach, grasp, carry, release, more than once,
with one hand or two, with false closures, failed grasps and hands that begin and end shut.
"""

from dataclasses import dataclass, field

import numpy as np
from synthetic_robots import Hand, Robot, draw_robot, move, record

from kairoscope.robot.episode import Episode


@dataclass
class Truth:
    """One episode, what is asked about it, and when the fingers truly moved."""

    episode: Episode
    query: tuple[str, ...]
    intervals_s: list[tuple[float, float]]


@dataclass
class Stage:
    """An episode that is being played."""

    robot: Robot
    hands: list[Hand]
    ways: list[list[tuple[float, float]]]
    """For each arm (start, duration) of its moves, in s."""
    clock_s: float
    events: list[tuple[str, int, float, float]] = field(default_factory=list)
    """(what, arm, first and last moment of the fingers' motion)."""

    def go(self, arm: int, seconds: float, pause_s: float = 0.2) -> None:
        """Move an arm, and wait a little."""
        self.ways[arm].append((self.clock_s, seconds))
        self.clock_s += seconds + float(self.robot.rng.uniform(0.0, pause_s))

    def act(self, what: str, arm: int, level: float, told: float) -> None:
        """Move the fingers of a hand: an event."""
        start, until = move(self.robot, self.hands[arm], self.clock_s, level, told)
        self.events.append((what, arm, start, until))
        self.clock_s = until + float(self.robot.rng.uniform(0.0, 0.2))


def draw_dataset(seed: int, num_episodes: int = 4) -> list[Truth]:
    """Some episodes of one random robot."""
    robot = draw_robot(np.random.default_rng([77, seed]))
    return [draw_episode(robot, f"{seed}_{k}") for k in range(num_episodes)]


def draw_episode(robot: Robot, name: str) -> Truth:
    """One demonstration: plan, arms, hands, channels."""
    rng = robot.rng
    rest = robot.rest_level
    stage = Stage(
        robot=robot,
        hands=[Hand([(-9.0, rest)], [(-9.0, rest)]) for _ in range(robot.num_arms)],
        ways=[[] for _ in range(robot.num_arms)],
        clock_s=float(rng.uniform(0.0, 1.5)),
    )
    for arm, hand in enumerate(stage.hands):
        if rest > 0:  # open on the way to the first thing
            at = stage.clock_s + float(rng.uniform(0.0, 0.5)) + 0.1 * arm
            move(robot, hand, at, 0.0, 0.0)
    for number in range(len(robot.plan)):
        _carry_thing(stage, number)
    end_s = stage.clock_s + float(rng.uniform(0.8, 2.5))
    for way in stage.ways:
        if way:
            way.append((sum(way[-1]) + 0.1, 1.0))
    if rest > 0 and rng.random() < 0.7:  # and shut on the way home
        for hand in stage.hands:
            move(robot, hand, stage.clock_s + 0.4, rest, rest)
    times_s = np.arange(int(end_s * robot.fps)) / robot.fps
    channels = record(robot, stage.hands, stage.ways, times_s)
    episode = Episode(id=name, times_s=times_s, channels=channels, task="move things")
    events = sorted(stage.events, key=lambda event: event[3])
    named = len({arm for _, arm, _, _ in events}) > 1
    sides = ("left", "right")
    query = tuple(f"{sides[arm]} hand {what}" if named else what for what, arm, _, _ in events)
    return Truth(episode, query, [(start, until) for _, _, start, until in events])


def _carry_thing(stage: Stage, number: int) -> None:
    """Reach, grasp, carry, release; with two hands sometimes the other hand takes over."""
    rng = stage.robot.rng
    arm, hands_over = stage.robot.plan[number]
    width = float(rng.uniform(0.35, 0.95))
    reach = float(rng.uniform(0.8, 2.5))
    if rng.random() < 0.25:
        reach = max(reach, _false_closure(stage, arm, 0.3 * reach))
    stage.go(arm, reach)
    if rng.random() < 0.2:
        _missed_grasp(stage, arm)
    stage.act(f"grasping thing {number}", arm, width, 1.0)
    carry = float(rng.uniform(0.9, 3.0))
    stage.go(arm, carry)
    if hands_over:
        other = 1 - arm
        stage.ways[other].append((stage.clock_s - carry, carry * 0.9))
        stage.act(f"grasping thing {number}", other, width, 1.0)
        stage.clock_s += 0.1
        stage.act(f"releasing thing {number}", arm, 0.0, 0.0)
        stage.go(other, 1.2)
        arm = other
    stage.act(f"releasing thing {number}", arm, 0.0, 0.0)
    stage.go(arm, float(rng.uniform(0.5, 1.2)), pause_s=0.0)


def _false_closure(stage: Stage, arm: int, after_s: float) -> float:
    """The hand closes by mistake on the way; how long the way takes at least, in s."""
    robot, at = stage.robot, stage.clock_s + after_s
    short_s = float(robot.rng.uniform(0.1, 0.35))
    move(robot, stage.hands[arm], at, 0.9, 1.0, seconds=0.15)
    move(robot, stage.hands[arm], at + short_s, 0.0, 0.0, seconds=0.15)
    return after_s + short_s + 0.8


def _missed_grasp(stage: Stage, arm: int) -> None:
    """The hand closes beside the thing, opens, and comes again."""
    robot, hand = stage.robot, stage.hands[arm]
    move(robot, hand, stage.clock_s, 0.97, 1.0)
    stage.clock_s += robot.seconds + float(robot.rng.uniform(0.05, 0.3))
    move(robot, hand, stage.clock_s, 0.0, 0.0)
    stage.clock_s += robot.seconds + 0.1
    stage.go(arm, float(robot.rng.uniform(0.4, 0.8)))
