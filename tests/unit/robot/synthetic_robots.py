"""Random robots and the ways in which they record their hands. Nothing is tuned to them.

Commands or widths or finger joints, binary or not, normalised or in metres, radians or counts, upside
down, noisy, late, quantised, drifting, with chatter, and with columns that only look like hands.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kairoscope.robot.episode import Channel

Floats = NDArray[np.float64]
RECORDINGS = (
    "width",
    "fingers",
    "mirrored",
    "command+width",
    "command+fingers",
    "binary+fingers",
    "binary",
    "command",
)
"""What is recorded of a hand: measured columns, a command, or both."""
LAYOUTS = ("arm, hand", "arms, hands", "hands, arms", "hand, arm")


@dataclass
class Hand:
    """One hand during one episode."""

    knots: list[tuple[float, float]] = field(default_factory=list)
    """(time in s, closedness from then on), each reached with a motion that begins there."""
    told: list[tuple[float, float]] = field(default_factory=list)
    """(time in s, commanded closedness)."""


@dataclass
class Robot:
    """How one dataset is recorded."""

    rng: np.random.Generator
    num_arms: int
    num_joints: int
    recording: str
    num_fingers: int
    fps: float
    low: float
    high: float
    closes_upwards: bool
    noise: float
    step: float
    """Quantisation of the measured fingers, share of their range."""
    lag_s: float
    seconds: float
    """Usual duration of a motion of the fingers."""
    rest_level: float
    """Closedness at which the hand begins and ends an episode."""
    layout: str
    """Where the hands' columns stand."""
    plan: list[tuple[int, bool]]
    """For each thing that is carried: with which arm, and whether the other arm takes it over."""
    mixing: Floats
    has_eef: bool
    idle_noise: float


def draw_robot(rng: np.random.Generator) -> Robot:
    """A robot nobody has seen."""
    low, high = [(0.0, 1.0), (-1.0, 1.0), (0.0, 0.08), (0.0, 255.0), (-0.4, 1.7), (0.0, 100.0)][
        rng.integers(6)
    ]
    recording = str(rng.choice(RECORDINGS))
    num_arms = int(rng.choice([1, 1, 2]))
    num_joints = int(rng.integers(5, 8))
    # A lone command of two values without any name would be a guess among flags: it has a pose.
    has_eef = recording == "binary" or bool(rng.random() < 0.4)
    return Robot(
        rng=rng,
        num_arms=num_arms,
        num_joints=num_joints,
        recording=recording,
        num_fingers=int(rng.integers(3, 7)),
        fps=float(rng.choice([10, 15, 20, 30, 50])),
        low=low,
        high=high,
        closes_upwards=bool(rng.random() < 0.5),
        noise=float(rng.choice([0.0, 0.003, 0.01, 0.02])),
        step=float(rng.choice([0.0, 0.0, 0.01, 0.03])),
        lag_s=float(rng.uniform(0.0, 0.3)),
        seconds=float(rng.uniform(0.2, 1.0)),
        rest_level=float(rng.choice([0.0, 0.0, 0.0, 0.5, 0.8])),
        layout=str(rng.choice(LAYOUTS, p=(0.5, 0.3, 0.1, 0.1))),
        plan=draw_plan(rng, num_arms),
        mixing=rng.normal(size=(num_arms, num_joints, 4)),
        has_eef=has_eef,
        idle_noise=float(rng.choice([0.0, 0.003])),
    )


def draw_plan(rng: np.random.Generator, num_arms: int) -> list[tuple[int, bool]]:
    """What all demonstrations of a dataset do."""
    two_handed = num_arms == 2 and rng.random() < 0.7
    return [
        (int(rng.integers(num_arms)) if two_handed else 0, bool(two_handed and rng.random() < 0.4))
        for _ in range(int(rng.choice([1, 1, 2])))
    ]


def move(
    robot: Robot, hand: Hand, at: float, level: float, told: float, seconds: float | None = None
) -> tuple[float, float]:
    """Bring the fingers to a level; (first, last moment of their motion) in s."""
    took = robot.seconds * float(robot.rng.uniform(0.8, 1.25)) if seconds is None else seconds
    hand.told.append((at, told))
    hand.told.append((at + 1e-6, took))
    hand.knots.append((at + robot.lag_s, level))
    hand.knots.append((at + robot.lag_s + 1e-6, took))
    return at + robot.lag_s, at + robot.lag_s + took


def _played(knots: list[tuple[float, float]], times_s: Floats) -> Floats:
    """A level over time from (time, level), (time, duration) pairs; motions on smooth paths."""
    level = np.full(len(times_s), knots[0][1])
    for (at, target), (_, seconds) in zip(knots[1::2], knots[2::2], strict=True):
        u = np.clip((times_s - at) / seconds, 0.0, 1.0)
        level = level + (target - level) * (u * u * (3.0 - 2.0 * u))
    return level


def record(
    robot: Robot, hands: list[Hand], ways: list[list[tuple[float, float]]], times_s: Floats
) -> tuple[Channel, ...]:
    """What the robot's dataset holds of an episode."""
    rng = robot.rng
    blocks, told_blocks, tails, told_tails, tips = [], [], [], [], []
    for arm, (hand, way) in enumerate(zip(hands, ways, strict=True)):
        joints, tip = _arm(robot, arm, way, times_s)
        done, told = _hand_columns(robot, hand, times_s)
        tips.append(tip)
        late = max(1, round(0.08 * robot.fps))
        ahead = np.concatenate([joints[late:], np.repeat(joints[-1:], late, axis=0)])
        blocks.append(joints)
        told_blocks.append(ahead)
        tails.append(done)
        told_tails.append(told)
    state = np.hstack(_ordered(robot.layout, blocks, tails))
    action = np.hstack(_ordered(robot.layout, told_blocks, told_tails))
    if robot.fps == 10:  # and a column that does nothing
        state = np.hstack([state, np.full((len(times_s), 1), 0.3)])
    state = state + robot.idle_noise * rng.normal(size=state.shape)
    found = [Channel(name="observation.state", kind="state", values_TD=state)]
    if robot.recording not in ("width", "fingers", "mirrored"):
        found.append(Channel(name="action", kind="action", values_TD=action))
    if robot.has_eef:
        for arm, tip in enumerate(tips):
            found.append(
                Channel(name=f"eef_{arm}", kind="eef_pose", values_TD=tip, unit="m", subject=None)
            )
    return tuple(found)


def _ordered(layout: str, arms: list[Floats], hands: list[Floats]) -> list[Floats]:
    """Blocks of columns in the order of a robot."""
    if layout == "arms, hands":
        return [*arms, *hands]
    if layout == "hands, arms":
        return [*hands, *arms]
    pairs = zip(arms, hands, strict=True)
    return [
        block for arm, hand in pairs for block in ((arm, hand) if layout[0] == "a" else (hand, arm))
    ]


def _arm(
    robot: Robot, arm: int, way: list[tuple[float, float]], times_s: Floats
) -> tuple[Floats, Floats]:
    """(T, J) joints on smooth paths through places, and (T, 3) where the hand is."""
    rng = robot.rng
    place = rng.normal(size=4)
    path = np.repeat(place[None], len(times_s), axis=0)
    for at, seconds in way:
        u = np.clip((times_s - at) / seconds, 0.0, 1.0)[:, None]
        smooth = u**3 * (10.0 + u * (6.0 * u - 15.0))
        target = rng.normal(size=4)
        middle = rng.normal(size=4) * 0.4
        path = path + (target - path[-1]) * smooth + middle * smooth * (1.0 - smooth) * 4.0
    wander = np.cumsum(rng.normal(size=path.shape), axis=0) * 0.002
    joints = (path + wander) @ robot.mixing[arm].T * 0.3
    if rng.random() < 0.3:  # a wrist that swings to and fro all the time
        joints[:, -1] += 0.2 * np.sin(2 * np.pi * times_s / float(rng.uniform(1.5, 4.0)))
    return joints, path[:, :3] * 0.2


def _hand_columns(robot: Robot, hand: Hand, times_s: Floats) -> tuple[Floats, Floats]:
    """((T, F) measured, (T, C) commanded) columns of one hand; either may have none."""
    rng, kind = robot.rng, robot.recording
    done = _played(hand.knots, times_s)
    told = _played(hand.told, times_s)
    if kind.startswith("binary"):
        told = _switched(hand, times_s)
        if rng.random() < 0.3:
            flips = np.flatnonzero(np.diff(told)) + 1
            for flip in flips:  # chatter of one frame beside a flip
                if flip + 2 < len(told):
                    told[flip + 1] = told[flip - 1]
    held = (done > 0.2) & (done < 0.97)
    done = done + 0.04 * float(rng.uniform(-1, 1)) * held * np.linspace(0, 1, len(done))
    count = robot.num_fingers if "fingers" in kind else 2 if kind == "mirrored" else 1
    shares = [done * float(rng.uniform(0.85, 1.0)) + 0.01 * i for i in range(count)]
    measured = np.stack([_valued(robot, s, noisy=True) for s in shares], axis=1)
    if kind == "mirrored":
        measured[:, 1] *= -1.0
    commanded = _valued(robot, told, noisy=False)[:, None]
    if kind == "command+fingers":
        commanded = np.repeat(commanded, count, axis=1)
    none = np.zeros((len(times_s), 0))
    return (
        none if kind in ("binary", "command") else measured,
        commanded if "binary" in kind or "command" in kind else none,
    )


def _switched(hand: Hand, times_s: Floats) -> Floats:
    """The command as 0 or 1 from the moment at which it is given."""
    level = np.full(len(times_s), float(hand.told[0][1] > 0.5))
    for at, target in hand.told[1::2]:
        level[times_s >= at] = float(target > 0.5)
    return level


def _valued(robot: Robot, share: Floats, *, noisy: bool) -> Floats:
    """Closedness in the unit of the robot, with its noise and steps."""
    if noisy:
        share = share + robot.noise * robot.rng.normal(size=share.shape)
        if robot.step > 0:
            share = np.round(share / robot.step) * robot.step
    if not robot.closes_upwards:
        share = 1.0 - share
    return np.asarray(robot.low + share * (robot.high - robot.low))
