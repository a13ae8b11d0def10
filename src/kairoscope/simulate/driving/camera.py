"""Flat shapes in the world -> polygons in the picture, far ones first. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Colour = tuple[int, int, int]
HEIGHT_M: Final = 1.5
"""Of the camera above the road."""
NEAR_M: Final = 0.4
"""What is nearer is cut off."""
FOCAL: Final = 0.75
"""Focal length as a share of the picture's width: a view of 67 degrees."""
HORIZON: Final = 0.45
"""Height of the horizon as a share of the picture's height, from the top."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A flat polygon of one colour in the world."""

    corners_N3: Floats
    """x to the right, y up, z ahead, in m; in order around the polygon."""
    colour: Colour
    glows: bool = False
    """Whether it shines by itself, so that night does not darken it."""
    layer: int = 1
    """0: on the ground, drawn before everything that stands, in the order given."""


@dataclass(frozen=True, slots=True)
class Camera:
    """The ego vehicle's camera at one moment."""

    x_m: float
    z_m: float
    heading: float
    width_px: int
    height_px: int

    def seen(self, corners_N3: Floats) -> Floats:
        """World to camera coordinates: (N, 3), x right, y up, z ahead of the camera."""
        x, z = corners_N3[:, 0] - self.x_m, corners_N3[:, 2] - self.z_m
        c, s = np.cos(self.heading), np.sin(self.heading)
        return np.stack([c * x - s * z, corners_N3[:, 1] - HEIGHT_M, s * x + c * z], axis=1)

    def pixels(self, seen_N3: Floats) -> list[tuple[float, float]]:
        """Camera coordinates, all ahead of `NEAR_M`, to places in the picture."""
        focal = FOCAL * self.width_px
        u = self.width_px / 2 + focal * seen_N3[:, 0] / seen_N3[:, 2]
        v = HORIZON * self.height_px - focal * seen_N3[:, 1] / seen_N3[:, 2]
        return list(zip(u.tolist(), v.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Painted:
    """A polygon in the picture."""

    corners: list[tuple[float, float]]
    colour: Colour
    glows: bool
    distance_m: float = field(compare=False)


def painted(shapes: Sequence[Shape], camera: Camera, far_m: float) -> Iterator[Painted]:
    """What the camera sees of the shapes, in the order in which to paint it.

    The ground comes first, as given; then what stands, the farthest first.
    """
    standing: list[Painted] = []
    sizes = np.array([len(shape.corners_N3) for shape in shapes])
    ends = sizes.cumsum()
    # All corners at once: a call for each shape would take most of the time of a picture.
    seen_N3 = camera.seen(np.concatenate([shape.corners_N3 for shape in shapes]))
    starts = ends - sizes
    nearest = np.minimum.reduceat(seen_N3[:, 2], starts)
    farthest = np.maximum.reduceat(seen_N3[:, 2], starts)
    for place, shape in enumerate(shapes):
        if farthest[place] < NEAR_M or nearest[place] > far_m:
            continue
        seen = seen_N3[starts[place] : ends[place]]
        if nearest[place] < NEAR_M:
            seen = clipped(seen)
        distance = float(seen[:, 2].mean())
        if len(seen) < 3 or distance > far_m or not _in_view(seen):
            continue
        one = Painted(camera.pixels(seen), shape.colour, shape.glows, distance)
        if shape.layer == 0:
            yield one
        else:
            standing.append(one)
    yield from sorted(standing, key=lambda one: -one.distance_m)


def _in_view(seen_N3: Floats) -> bool:
    """Whether a shape is not wholly beside the picture."""
    slope = seen_N3[:, 0] / seen_N3[:, 2]
    limit = 0.6 / FOCAL
    return bool((slope < limit).any() and (slope > -limit).any())


def clipped(seen_N3: Floats) -> Floats:
    """The part of a polygon ahead of `NEAR_M` (Sutherland and Hodgman 1974); (M, 3), M may be 0."""
    kept: list[Floats] = []
    for one, after in zip(seen_N3, np.roll(seen_N3, -1, axis=0), strict=True):
        if one[2] >= NEAR_M:
            kept.append(one)
        if (one[2] >= NEAR_M) != (after[2] >= NEAR_M):
            share = (NEAR_M - one[2]) / (after[2] - one[2])
            kept.append(one + share * (after - one))
    return np.array(kept).reshape(-1, 3)


def ground(x0: float, z0: float, x1: float, z1: float, colour: Colour, y: float = 0.0) -> Shape:
    """A rectangle on the ground."""
    corners = np.array([[x0, y, z0], [x1, y, z0], [x1, y, z1], [x0, y, z1]])
    return Shape(corners, colour, layer=0)


def box(
    x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, colour: Colour
) -> list[Shape]:
    """A box: the sides in shades of one colour, and its top."""
    dark: Colour = (colour[0] * 7 // 10, colour[1] * 7 // 10, colour[2] * 7 // 10)
    sides = (
        ([[x0, y0, z0], [x1, y0, z0], [x1, y1, z0], [x0, y1, z0]], colour),
        ([[x0, y0, z1], [x1, y0, z1], [x1, y1, z1], [x0, y1, z1]], colour),
        ([[x0, y0, z0], [x0, y0, z1], [x0, y1, z1], [x0, y1, z0]], dark),
        ([[x1, y0, z0], [x1, y0, z1], [x1, y1, z1], [x1, y1, z0]], dark),
        ([[x0, y1, z0], [x1, y1, z0], [x1, y1, z1], [x0, y1, z1]], colour),
    )
    return [Shape(np.array(corners, float), tint) for corners, tint in sides]


def disc(x: float, y: float, z: float, radius: float, colour: Colour, *, glows: bool) -> Shape:
    """A disc that faces back along z, such as a lamp."""
    turns = np.linspace(0, 2 * np.pi, 9)[:-1]
    corners = np.stack(
        [x + radius * np.cos(turns), y + radius * np.sin(turns), np.full(8, z)], axis=1
    )
    return Shape(corners, colour, glows=glows)
