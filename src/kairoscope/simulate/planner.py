"""Writes the arm's timeline the way a person drives a robot: pauses, detours, second tries."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kairoscope.simulate.arm import MAX_OPENING_M, Hand
from kairoscope.simulate.motion import Segment, Timeline

Place = Sequence[float] | NDArray[np.float64]
"""x and y on the table, metres."""

_ACROSS_M_PER_S = 0.38
_VERTICAL_M_PER_S = 0.27
_GRIP_M_PER_S = 0.14
_SQUEEZE_M = 0.002
"""Closing aims this much below the object's width; the fingers stop where both touch."""
IDLE_S = 5.0
"""How long the arm goes on after its last event and its way up."""
CLEAR_M = 0.085
"""No other object may be nearer than this to where the fingers come down."""


class Planner:
    """Appends segments to a timeline; `pace` scales every speed, each phase varies about it."""

    def __init__(self, rng: np.random.Generator, start: Hand, pace: float):
        self.rng = rng
        self.hand = start
        self.obstacles: dict[str, tuple[float, float]] = {}
        self.pace = pace
        self._segments: list[Segment] = []

    def timeline(self) -> Timeline:
        """Everything planned so far."""
        return Timeline(self._segments)

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    def wait(self, low_s: float, high_s: float) -> None:
        """Stand still."""
        self._segments.append(Segment(self.hand, self.hand, float(self.rng.uniform(low_s, high_s))))

    def pause(self) -> None:
        """Often nothing, sometimes a short stop, seldom a long one."""
        draw = self.rng.random()
        if draw < 0.35:
            self.wait(0.1, 0.5)
        elif draw < 0.6:
            self.wait(0.5, 1.2)

    def move(self, place: Place, z: float, *, yaw: float | None = None) -> None:
        """Move the tips to height `z` at `place` in a line, with a slight arc when it goes far."""
        end = np.array([place[0], place[1], z, self.hand[3] if yaw is None else yaw, self.hand[4]])
        across = math.hypot(end[0] - self.hand[0], end[1] - self.hand[1])
        climb = abs(end[2] - self.hand[2])
        speed = self._speed()
        seconds = max(across / _ACROSS_M_PER_S, climb / _VERTICAL_M_PER_S, 0.12) / speed
        turn_s = abs(end[3] - self.hand[3]) / 2.5
        arc = float(self.rng.uniform(0.0, 0.03)) if across > 0.1 else 0.0
        self._append(Segment(self.hand, end, max(seconds + 0.12, turn_s), arc))

    def follow(self, path: Callable[[float], Hand], seconds: float) -> None:
        """Move along a given path (progress 0..1 -> hand) at about `seconds`."""
        self._append(Segment(self.hand, path(1.0), seconds / self._speed(), path=path))

    def grip(self, opening: float) -> None:
        """Open or close the fingers to `opening` metres."""
        end = self.hand.copy()
        end[4] = opening
        seconds = abs(opening - self.hand[4]) / _GRIP_M_PER_S / self._speed() + 0.08
        self._append(Segment(self.hand, end, seconds))

    def lift(self, *, high: float = 0.19) -> None:
        """Go straight up to a travelling height."""
        self.move(self.hand[:2], float(self.rng.uniform(high - 0.06, high)))

    def above(self, place: Place, yaw: float | None = None, *, z: float = 0.14) -> None:
        """Travel to a point above `place`; sometimes by a detour, sometimes a stop on the way."""
        if self.chance(0.2):
            side = self.rng.uniform(-0.12, 0.12, 2)
            self.move((np.array(place) + self.hand[:2]) / 2 + side, z + 0.03)
            self.pause()
        self.move(place, z + float(self.rng.uniform(0.0, 0.04)), yaw=yaw)
        if self.chance(0.35):
            self.wait(0.15, 1.0)

    def wander(self, raised_m: float) -> None:
        """Sometimes go nowhere in particular first, and think."""
        while self.chance(0.35):
            x, y, z = self.rng.uniform((-0.2, -0.1, 0.14), (0.2, 0.15, 0.22)).tolist()
            self.move((x, y), z + raised_m, yaw=float(self.rng.uniform(-0.5, 0.5)))
            self.pause()

    def visit(self, place: Place) -> None:
        """A false approach: go to an object that is not asked for, look, and leave."""
        self.above(place)
        if self.chance(0.6):
            self.move(place, float(self.rng.uniform(0.085, 0.11)))
            self.pause()
            self.lift()

    def grasp(self, place: Place, z: float, *, yaw: float, half_w: float, top: float) -> None:
        """Grasp what stands at `place`, tips at height `z`; one in six times not at first try.

        `half_w` is half its width between the fingers, `top` the height of its top, metres.
        """
        opening = min(2 * half_w + float(self.rng.uniform(0.042, 0.06)), MAX_OPENING_M)
        self.above(place, yaw, z=max(0.12, top + 0.04))
        if abs(self.hand[4] - opening) > 0.004:
            self.grip(opening)
        if self.chance(0.16):
            self._fail(place, z, top, opening)
        self.move(place, z)
        self.pause()
        self.grip(2 * half_w - _SQUEEZE_M)

    def _fail(self, place: Place, z: float, top: float, opening: float) -> None:
        """Close on nothing, above or beside the object, or turn back; then try again."""
        side = self._free_side(place)
        draw = self.rng.random()
        if draw < 0.4 and side is not None:
            self.move(side, max(z, 0.012))
        elif draw < 0.8:
            self.move(place, top + float(self.rng.uniform(0.008, 0.015)))
        else:
            self.move(place, float(self.rng.uniform(top + 0.01, top + 0.03)))
            self.pause()
            self.move(place, top + 0.07)
            self.pause()
            return
        self.grip(float(self.rng.uniform(0.0, 0.02)))
        self.pause()
        if self.chance(0.5):
            self.lift(high=max(0.19, top + 0.07))
            self.pause()
        self.grip(opening)
        self.move(place, top + float(self.rng.uniform(0.03, 0.06)))
        self.pause()

    def _free_side(self, place: Place) -> tuple[float, float] | None:
        """A place beside the object, along the fingers' flat sides, where nothing stands."""
        yaw = self.hand[3] + math.pi / 2
        for sign in self.rng.permutation([-1, 1]):
            px = place[0] + sign * 0.085 * math.cos(yaw)
            py = place[1] + sign * 0.085 * math.sin(yaw)
            others = [p for p in self.obstacles.values() if math.dist(p, place) > 0.02]
            if all(math.dist(p, (px, py)) > CLEAR_M + 0.03 for p in others):
                return px, py
        return None

    def release(self, half_w: float) -> None:
        """Open the fingers a little or wide."""
        self.pause()
        self.grip(min(2 * half_w + float(self.rng.uniform(0.035, 0.06)), MAX_OPENING_M))

    def leave(self, raised_m: float) -> None:
        """After the last event: rise, then idle for as long as a clip may run on.

        Rests, wanders, opens and closes the empty hand above everything that stands on the table:
        the end of a clip says little about when its last event ended.
        """
        if self.chance(0.5):
            self.pause()
        low = max(0.15 + raised_m, float(self.hand[2]) + 0.09)
        self.lift(high=low + 0.06)
        idle_until_s = self.timeline().duration_s + IDLE_S
        while self.timeline().duration_s < idle_until_s:
            draw = self.rng.random()
            if draw < 0.45:
                x, y, z = self.rng.uniform((-0.2, -0.1, low), (0.2, 0.15, low + 0.07)).tolist()
                self.move((x, y), z, yaw=float(self.rng.uniform(-0.5, 0.5)))
            elif draw < 0.6:
                self.grip(float(self.rng.uniform(0.0, MAX_OPENING_M)))
            else:
                self.wait(0.2, 1.5)

    def _append(self, segment: Segment) -> None:
        """Add a segment, in one in twelve with a hesitation half way."""
        long = segment.duration_s > 0.5 and segment.path is None
        if long and self.chance(0.08):
            u = float(self.rng.uniform(0.3, 0.8))
            middle = segment.start + (segment.end - segment.start) * u
            self._segments.append(Segment(segment.start, middle, 0.7 * segment.duration_s))
            self.hand = middle
            self.wait(0.2, 0.9)
            self._segments.append(Segment(middle, segment.end, 0.7 * segment.duration_s))
        else:
            self._segments.append(segment)
        self.hand = segment.end

    def _speed(self) -> float:
        return self.pace * float(np.exp(self.rng.uniform(math.log(0.6), math.log(1.7))))


def spread(
    rng: np.random.Generator,
    radii: Sequence[float],
    taken: Sequence[tuple[float, float, float]] = (),
) -> list[tuple[float, float]] | None:
    """Places for circles of the given radii, apart from each other and from `taken` (x, y, r).

    Returns None when sixty draws did not find room.
    """
    placed = list(taken)
    for radius in radii:
        for _ in range(60):
            x, y = float(rng.uniform(-0.22, 0.22)), float(rng.uniform(-0.15, 0.15))
            if all(math.dist((x, y), p[:2]) > radius + p[2] for p in placed):
                placed.append((x, y, radius))
                break
        else:
            return None
    return [(x, y) for x, y, _ in placed[len(taken) :]]
