"""A drive's surroundings as flat shapes: road, markings, junction, houses, trees, others."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kairoscope.simulate.driving.camera import Colour, Shape, box, disc, ground
from kairoscope.simulate.driving.facts import (
    CITY,
    COUNTRY,
    HIGHWAY,
    NO_JUNCTION,
    NO_LIGHT,
    RED,
    SNOW,
    T_JUNCTION,
    Drive,
)
from kairoscope.simulate.driving.path import (
    CAR_M,
    LANE_M,
    STOP_LINE_M,
    half_cross_m,
    junction_m,
    lane_x_m,
)

FAR_M: Final = 170.0
STRIP_M: Final = 10.0
ASPHALT: Final[Colour] = (92, 92, 98)
WHITE: Final[Colour] = (225, 225, 225)
YELLOW: Final[Colour] = (220, 180, 60)
CAR_COLOURS: Final[tuple[Colour, ...]] = (
    (170, 40, 40), (40, 70, 150), (190, 190, 195), (50, 110, 70), (45, 45, 50), (215, 160, 50),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenery:
    """What does not move, drawn once for a clip, and how the others look."""

    still: list[Shape]
    lead_colour: Colour
    oncoming: tuple[tuple[float, float, Colour], ...]
    """(z in m at the start, speed towards us in m/s, colour)."""


def draw_scenery(drive: Drive, rng: np.random.Generator) -> Scenery:
    """Everything along the road. What decides no label is left to chance."""
    still = [*_ground(drive), *_markings(drive)]
    if drive.junction != NO_JUNCTION:
        still += _cross_road(drive)
    still += {CITY: _houses, COUNTRY: _trees, HIGHWAY: _barriers}[drive.road_type](drive, rng)
    if drive.traffic_light != NO_LIGHT:
        still += _signal(drive)
    oncoming = tuple(
        (float(rng.uniform(30, 140)), drive.speed_mps, _colour(rng))
        for _ in range(int(rng.integers(0, 3)))
    )
    return Scenery(still, _colour(rng), oncoming)


def moving(drive: Drive, scenery: Scenery, lead_z_m: float, time_s: float) -> list[Shape]:
    """Other road users at one moment."""
    shapes: list[Shape] = []
    if drive.has_lead:
        shapes += vehicle(lane_x_m(drive.start_lane), lead_z_m, scenery.lead_colour)
    for z0, speed, colour in scenery.oncoming:
        z = z0 - speed * time_s
        if drive.junction != T_JUNCTION or z < junction_m(drive):
            shapes += vehicle(-lane_x_m(0), z, colour, towards=True)
    if drive.has_pedestrian:
        z = junction_m(drive) - half_cross_m(drive) - 1.5
        x = -drive.lanes * LANE_M - 1.0 + 1.6 * time_s * drive.lanes
        shapes += pedestrian(x, z, time_s)
    return shapes


def _ends_m(drive: Drive) -> float:
    """How far the ego vehicle's road goes on."""
    at_end = drive.junction == T_JUNCTION
    return junction_m(drive) + half_cross_m(drive) if at_end else FAR_M


def _colour(rng: np.random.Generator) -> Colour:
    return CAR_COLOURS[int(rng.integers(len(CAR_COLOURS)))]


def _ground(drive: Drive) -> list[Shape]:
    half, shapes = drive.lanes * LANE_M, []
    for z in np.arange(-20, _ends_m(drive), STRIP_M):
        end = min(z + STRIP_M, _ends_m(drive))
        if drive.road_type == CITY:
            shapes.append(ground(-half - 2.5, z, half + 2.5, end, (150, 146, 140)))
        shapes.append(ground(-half, z, half, end, ASPHALT))
    return shapes


def _markings(drive: Drive) -> list[Shape]:
    half, shapes, end = drive.lanes * LANE_M, [], _ends_m(drive)
    cross = junction_m(drive) if drive.junction != NO_JUNCTION else -100.0
    reach = half_cross_m(drive)

    def add(x: float, z0: float, z1: float, colour: Colour, width: float) -> None:
        if z1 < cross - reach or z0 > cross + reach:
            shapes.append(ground(x - width, z0, x + width, min(z1, end), colour, 0.01))

    for z in np.arange(-20, end, 8.0):
        for lane in range(1, drive.lanes):
            for side in (-1, 1):
                add(side * lane * LANE_M, z, z + 3.0, WHITE, 0.08)
        if drive.road_type == HIGHWAY:
            add(0.0, z, z + 8.0, (120, 125, 120), 0.5)
        elif drive.road_type == CITY:
            add(0.0, z, z + 8.0, YELLOW, 0.12)
        else:
            add(0.0, z, z + 3.0, WHITE, 0.08)
        if drive.road_type != CITY:
            for side in (-1, 1):
                add(side * (half - 0.2), z, z + 8.0, WHITE, 0.08)
    return shapes


def _cross_road(drive: Drive) -> list[Shape]:
    middle, reach, half = junction_m(drive), half_cross_m(drive), drive.lanes * LANE_M
    shapes = [
        ground(x, middle - reach, x + STRIP_M, middle + reach, ASPHALT)
        for x in np.arange(-90.0, 90.0, STRIP_M)
    ]
    colour = YELLOW if drive.road_type == CITY else WHITE
    shapes += [
        ground(x, middle - 0.1, x + 3.5, middle + 0.1, colour, 0.01)
        for x in np.arange(-90.0, 90.0, 6.0)
        if not -half - 3 < x < half
    ]
    line = middle - reach - STOP_LINE_M + 4.0
    shapes.append(ground(0.2, line - 0.25, half - 0.2, line + 0.25, WHITE, 0.01))
    if drive.road_type == CITY:  # a crosswalk before the junction
        for x in np.arange(-half + 0.3, half - 0.5, 1.2):
            zebra = middle - reach - 2.6
            shapes.append(ground(x, zebra, x + 0.6, zebra + 2.2, WHITE, 0.01))
    return shapes


def _free(drive: Drive, z0: float, z1: float) -> bool:
    """Whether nothing crosses between two places along the road."""
    if drive.junction == NO_JUNCTION:
        return True
    reach = half_cross_m(drive) + 3.0
    return z1 < junction_m(drive) - reach or z0 > junction_m(drive) + reach


def _houses(drive: Drive, rng: np.random.Generator) -> list[Shape]:
    shapes, edge = [], drive.lanes * LANE_M + 4.0
    for side in (-1, 1):
        z = -10.0
        while z < FAR_M:
            depth, height = float(rng.uniform(9, 18)), float(rng.uniform(6, 16))
            tint = int(rng.integers(110, 190))
            colour: Colour = (tint, int(tint * rng.uniform(0.8, 0.98)), int(tint * 0.78))
            inner, outer = sorted((side * edge, side * (edge + 12)))
            if _free(drive, z, z + depth):
                shapes += box(inner, outer, 0, height, z, z + depth, colour)
            z += depth + float(rng.uniform(0.5, 4))
    if drive.junction == T_JUNCTION:  # houses across the end of the road
        z = junction_m(drive) + half_cross_m(drive) + 4
        for x in np.arange(-60.0, 60.0, 15.0):
            height = float(rng.uniform(6, 14))
            shapes += box(x, x + 13.5, 0, height, z, z + 10, (165, 140, 120))
    return shapes


def _trees(drive: Drive, rng: np.random.Generator) -> list[Shape]:
    shapes, edge = [], drive.lanes * LANE_M + 2.0
    green: Colour = (225, 230, 232) if drive.weather == SNOW else (52, 105, 48)
    places = [
        (side * float(rng.uniform(edge, edge + 14)), float(rng.uniform(0, FAR_M)))
        for side in (-1, 1)
        for _ in range(22)
    ]
    if drive.junction == T_JUNCTION:
        behind = junction_m(drive) + half_cross_m(drive) + 4
        places += [
            (float(rng.uniform(-30, 30)), behind + float(rng.uniform(0, 12))) for _ in range(16)
        ]
    for x, z in places:
        if not _free(drive, z - 1, z + 1):
            continue
        height = float(rng.uniform(4, 8))
        shapes += box(x - 0.2, x + 0.2, 0, height * 0.4, z - 0.2, z + 0.2, (90, 65, 45))
        crown = np.array(
            [[x - height / 4, height * 0.3, z], [x + height / 4, height * 0.3, z], [x, height, z]]
        )
        shapes.append(Shape(crown, green))
    return shapes


def _barriers(drive: Drive, rng: np.random.Generator) -> list[Shape]:
    shapes, edge = [], drive.lanes * LANE_M + 1.0
    for z in np.arange(-20.0, FAR_M, STRIP_M):
        for side in (-1, 1):
            inner, outer = sorted((side * edge, side * (edge + 0.2)))
            shapes += box(inner, outer, 0.3, 0.9, z, z + STRIP_M, (170, 172, 176))
    for z in np.arange(float(rng.uniform(20, 60)), FAR_M, 60.0):  # gantries with a blue sign
        shapes += box(-edge, edge, 5.6, 5.9, z, z + 0.3, (140, 140, 145))
        shapes += box(1.0, 4.5, 5.9, 7.6, z, z + 0.2, (40, 80, 170))
    return shapes


def _signal(drive: Drive) -> list[Shape]:
    """A traffic light on either side behind the junction."""
    shapes: list[Shape] = []
    z, half = junction_m(drive) + half_cross_m(drive) + 0.5, drive.lanes * LANE_M
    for x in (half + 0.8, -half - 0.8):
        shapes += box(x - 0.08, x + 0.08, 0, 3.0, z, z + 0.1, (70, 70, 70))
        shapes += box(x - 0.45, x + 0.45, 3.0, 5.4, z, z + 0.2, (25, 25, 25))
        lit = 0 if drive.traffic_light == RED else 2
        on: Colour = (255, 50, 40) if lit == 0 else (60, 255, 110)
        for place, y in enumerate((4.95, 4.2, 3.45)):
            colour: Colour = on if place == lit else (60, 60, 60)
            shapes.append(disc(x, y, z - 0.05, 0.34, colour, glows=place == lit))
    return shapes


def vehicle(x: float, z: float, colour: Colour, *, towards: bool = False) -> list[Shape]:
    """A car whose rear, or front where it comes towards us, is at z."""
    lamp: Colour = (255, 250, 220) if towards else (255, 60, 50)
    shapes = [
        *box(x - 0.9, x + 0.9, 0.25, 0.95, z, z + CAR_M, colour),
        *box(x - 0.75, x + 0.75, 0.95, 1.5, z + 0.8, z + 3.2, (60, 70, 85)),
    ]
    back = z - 0.02
    shapes += [disc(x + side * 0.68, 0.72, back, 0.14, lamp, glows=True) for side in (-1, 1)]
    return shapes


def pedestrian(x: float, z: float, time_s: float) -> list[Shape]:
    """Somebody who walks across the road."""
    swing = 0.25 * float(np.sin(8 * time_s))
    return [
        *box(x - 0.12 + swing, x + 0.06 + swing, 0, 0.85, z, z + 0.2, (40, 40, 70)),
        *box(x - 0.06 - swing, x + 0.12 - swing, 0, 0.85, z, z + 0.2, (40, 40, 70)),
        *box(x - 0.25, x + 0.25, 0.8, 1.45, z, z + 0.25, (210, 90, 40)),
        disc(x, 1.62, z, 0.17, (225, 180, 150), glows=False),
    ]
