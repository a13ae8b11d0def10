"""Where the ego vehicle and the one before it are at every moment of a drive. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kairoscope.simulate.driving.facts import COUNTRY, LEFT, RIGHT, STOPS, TO_LEFT, TO_RIGHT, Drive

LANE_M: Final = 3.5
EVENT_S: Final = 2.2
"""When a manoeuvre is half done."""
CHANGE_S: Final = 2.4
"""A lane change takes this long."""
GAP_M: Final = 11.0
"""Between the ego vehicle and the one before it, from camera to rear."""
CAR_M: Final = 4.2
STOP_LINE_M: Final = 6.0
"""Before the middle of a junction, beside half its width."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Poses:
    """The ego vehicle at each of T frames: x to the right, z ahead in m, heading in rad."""

    x_T: Floats
    z_T: Floats
    heading_T: Floats
    """0 looks along z, positive to the right."""
    lead_z_T: Floats
    """Of the vehicle ahead, in the lane in which the ego vehicle begins."""


def lane_x_m(lane: float) -> float:
    """Middle of a lane of the ego vehicle's direction; traffic keeps to the right."""
    return (lane + 0.5) * LANE_M


def junction_m(drive: Drive) -> float:
    """Middle of the junction, in m ahead of where the drive begins."""
    if drive.manoeuvre == STOPS:
        # So far away that braking evenly from the start ends at the line when the event is over.
        queue_m = GAP_M + CAR_M if drive.has_lead else 0.0
        return drive.speed_mps * EVENT_S * 0.75 + STOP_LINE_M + half_cross_m(drive) + queue_m
    return drive.speed_mps * EVENT_S


def half_cross_m(drive: Drive) -> float:
    """Half the width of the road that crosses."""
    return LANE_M * (1 if drive.road_type == COUNTRY else 2)


def poses(drive: Drive, times_s: Floats) -> Poses:
    """The ego vehicle's way.

    Args:
        drive: what it does.
        times_s: float64 (T,), of the frames.
    """
    x0 = lane_x_m(drive.start_lane)
    straight = drive.speed_mps * times_s
    still = np.zeros_like(times_s)
    if drive.manoeuvre in (LEFT, RIGHT):
        x_T, z_T, heading_T = _turn(drive, x0, straight)
        return Poses(x_T, z_T, heading_T, straight + GAP_M)
    if drive.manoeuvre == STOPS:
        travelled = _braked(drive.speed_mps, times_s)
        return Poses(np.full_like(times_s, x0), travelled, still, travelled + GAP_M)
    if drive.manoeuvre in (TO_LEFT, TO_RIGHT):
        way = 1.0 if drive.manoeuvre == TO_RIGHT else -1.0
        share = np.clip((times_s - EVENT_S) / CHANGE_S + 0.5, 0, 1)
        smooth = share**2 * (3 - 2 * share)
        slope = np.where((share > 0) & (share < 1), 6 * share * (1 - share) / CHANGE_S, 0.0)
        heading = np.arctan2(way * LANE_M * slope, drive.speed_mps)
        return Poses(x0 + way * LANE_M * smooth, straight, heading, straight + GAP_M)
    return Poses(np.full_like(times_s, x0), straight, still, straight + GAP_M)


def _braked(speed_mps: float, times_s: Floats) -> Floats:
    """Distance in m when braking evenly from the start to a halt at 1.5 `EVENT_S`."""
    halt_s = 1.5 * EVENT_S
    t = np.minimum(times_s, halt_s)
    return speed_mps * (t - t**2 / (2 * halt_s))


def _turn(drive: Drive, x0: float, straight: Floats) -> tuple[Floats, Floats, Floats]:
    """A quarter circle into the right lane of the crossing road, then straight on."""
    way = 1.0 if drive.manoeuvre == RIGHT else -1.0
    # The lane to turn into lies on the right-hand side of the crossing road's new direction.
    target_z = junction_m(drive) - way * LANE_M / 2
    radius = 5.0 if way > 0 else 8.0
    begin = target_z - radius
    slow = np.where(straight > begin, begin + (straight - begin) * 0.7, straight)
    angle = np.clip((slow - begin) / radius, 0, np.pi / 2)
    after = np.maximum(slow - begin - radius * np.pi / 2, 0)
    x = x0 + way * (radius * (1 - np.cos(angle)) + after)
    z = np.where(slow < begin, slow, begin + radius * np.sin(angle))
    return x, z, way * angle
