"""Bodies in free flight, on the ground, and where they meet: small steps of plain mechanics.

Lengths are in widths of the picture, y up from its lower edge, times in s. The pull of gravity is the
same in all clips, so that how fast a thing falls says whether it is right.
"""

import math
from dataclasses import dataclass, field, replace

from kairoscope.simulate.physics.violations import THROUGH, Violation

GRAVITY = 1.1
FLOOR = 0.12
"""Height of the floor."""
STEP_S = 1 / 120
RESTING = 0.07
"""Speed below which a thing stays on the ground instead of bouncing again."""
MORPH_S = 0.25
"""How long a change of shape takes."""


@dataclass(slots=True, kw_only=True)
class Body:
    """A ball or a box."""

    x: float
    y: float
    half: float
    """Half its width, as it was drawn."""
    colour: int
    """Place in the palette."""
    is_ball: bool = True
    vx: float = 0.0
    vy: float = 0.0
    bounce: float = 0.3
    """Share of its speed that it keeps in an impact."""
    friction: float = 0.1
    """On the ground, as a share of the pull of gravity."""
    ground: float = FLOOR
    """Height of what it stands or lands on."""
    wall: float | None = None
    """Where its right side is stopped."""
    cup: tuple[float, float, float] | None = None
    """Left side, right side and rim of the cup that it is poured into."""
    released_s: float = 0.0
    """Held still until then."""
    scale: float = 1.0
    start_speed: float = 0.0
    """Of a slide: the speed it begins with."""
    impacts: int = 0
    pinned: bool = False
    """Does not move at all, such as a cup."""

    @property
    def size(self) -> float:
        """Half its width now."""
        return self.half * self.scale


@dataclass(slots=True, kw_only=True)
class World:
    """Bodies, and what is wrong with them."""

    bodies: list[Body]
    target: int
    """The body that the violation happens to, and all after it where `many`."""
    wrong: Violation | None
    begins_s: float
    """When a violation begins that is not bound to an impact."""
    pair: tuple[int, int] | None = None
    """Two bodies of which the first runs into the second."""
    many: bool = False
    time_s: float = 0.0
    jump: tuple[float, float] = (0.0, 0.0)
    """Direction of a teleport, of length 1."""
    met: bool = field(default=False)

    def frames(self, num_frames: int, fps: float) -> list[list[Body]]:
        """Copies of the bodies at every frame."""
        shown: list[list[Body]] = []
        for frame in range(num_frames):
            while self.time_s < frame / fps - 1e-9:
                self._step()
            shown.append([replace(body) for body in self.bodies])
        return shown

    def _amount(self, kind: str) -> float | None:
        return self.wrong.amount if self.wrong is not None and self.wrong.kind == kind else None

    def _affected(self, place: int) -> bool:
        return place == self.target or (self.many and place > self.target)

    def _step(self) -> None:
        before_s, self.time_s = self.time_s, self.time_s + STEP_S
        begins = before_s < self.begins_s <= self.time_s
        for place, body in enumerate(self.bodies):
            if self._affected(place):
                self._morph(body, place)
                if begins and (amount := self._amount("teleport")) is not None:
                    self._move(body, place, amount)
            if self.time_s >= body.released_s and not body.pinned:
                self._move_on(body, place)
        if self.pair is not None:
            self._meet(*(self.bodies[place] for place in self.pair))

    def _morph(self, body: Body, place: int) -> None:
        amount = self._amount("shape")
        if amount is None or self.time_s < self.begins_s or place != self.target:
            return
        assert self.wrong is not None
        done = min(1.0, (self.time_s - self.begins_s) / MORPH_S)
        factor = amount if self.wrong.sign > 0 else 1 / amount
        old = body.size
        body.scale = 1 + (factor - 1) * done
        if body.y - old <= body.ground + 1e-3:
            body.y = body.ground + body.size

    def _move(self, body: Body, place: int, amount: float) -> None:
        width = 2 * self.bodies[self.target].half
        if place == self.target or body.impacts:
            body.x += self.jump[0] * amount * width
            body.y += self.jump[1] * amount * width

    def _pull(self, place: int) -> tuple[float, float]:
        """Acceleration of a body by gravity, turned where that is what is wrong."""
        angle = self._amount("gravity")
        if angle is None or self.time_s < self.begins_s or not self._affected(place):
            return 0.0, -GRAVITY
        assert self.wrong is not None
        turned = math.radians(angle) * self.wrong.sign
        return GRAVITY * math.sin(turned), -GRAVITY * math.cos(turned)

    def _move_on(self, body: Body, place: int) -> None:
        ax, ay = self._pull(place)
        on_ground = (
            body.y - body.size <= self._ground(body, place) + 1e-6 and abs(body.vy) < RESTING
        )
        if on_ground and ay < 0:
            body.vy = 0.0
            drag = body.friction * -ay * STEP_S
            gained = self._amount("energy")
            if gained is not None and body.wall is not None and self._affected(place):
                # A slide that gains speed: evenly, up to the speed of that energy.
                most = math.sqrt(gained) * body.start_speed
                if self.time_s >= self.begins_s:
                    body.vx = min(most, body.vx + 1.6 * STEP_S)
                    drag = 0.0
            push = ax * STEP_S
            body.vx += push
            if abs(push) < 1e-9:
                body.vx -= math.copysign(min(drag, abs(body.vx)), body.vx)
        else:
            body.vx += ax * STEP_S
            body.vy += ay * STEP_S
        body.x += body.vx * STEP_S
        body.y += body.vy * STEP_S
        self._land(body, place)
        self._stop_at_wall(body, place)
        if body.cup is not None and body.impacts and body.y < body.cup[2]:
            left, right = body.cup[0] + body.size, body.cup[1] - body.size
            body.x = min(max(body.x, left), right)

    def _ground(self, body: Body, place: int) -> float:
        if body.cup is not None and not body.cup[0] < body.x < body.cup[1]:
            return FLOOR
        depth = self._amount("penetration")
        if depth is None or body.wall is not None or self.pair or not self._affected(place):
            return body.ground
        return -9.0 if depth >= THROUGH else body.ground - 2 * body.half * depth

    def _land(self, body: Body, place: int) -> None:
        level = self._ground(body, place)
        if body.y - body.size >= level or body.vy >= 0:
            return
        body.y = level + body.size
        gained = self._amount("energy")
        keeps = body.bounce
        if gained is not None and body.impacts == 0 and self._affected(place):
            keeps = math.sqrt(gained)
        body.impacts += 1
        body.vy = -keeps * body.vy if -body.vy * keeps > RESTING else 0.0

    def _stop_at_wall(self, body: Body, place: int) -> None:
        if body.wall is None:
            return
        depth = self._amount("penetration")
        edge = body.wall
        if depth is not None and self._affected(place):
            edge += 9.0 if depth >= THROUGH else 2 * body.half * depth
        if body.x + body.size > edge and body.vx > 0:
            body.x, body.vx = edge - body.size, 0.0

    def _meet(self, runner: Body, struck: Body) -> None:
        """An impact along the ground of two bodies of equal mass."""
        depth = self._amount("penetration")
        overlap = 0.0 if depth is None else 2 * runner.half * depth
        if depth is not None and depth >= THROUGH:
            return
        apart = struck.x - runner.x - runner.size - struck.size + overlap
        level = abs(runner.y - struck.y) < runner.size + struck.size
        if self.met or apart > 0 or runner.vx <= struck.vx or not level:
            return
        self.met = True
        keeps, closing = runner.bounce, runner.vx - struck.vx
        middle = (runner.vx + struck.vx) / 2
        runner.vx, struck.vx = middle - keeps * closing / 2, middle + keeps * closing / 2
        if (gained := self._amount("energy")) is not None:
            struck.vx *= math.sqrt(gained)
            runner.vx = -abs(struck.vx) * 0.25
        if (missing := self._amount("no_reaction")) is not None:
            struck.vx *= 1 - missing
