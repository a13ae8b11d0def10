"""Frames of a drive: painted polygons, light, weather and what falls from the sky."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from kairoscope.simulate.driving.camera import HORIZON, Camera, Colour, Painted, ground, painted
from kairoscope.simulate.driving.facts import (
    CITY,
    CLEAR,
    DAY,
    DUSK,
    FOG,
    NIGHT,
    OVERCAST,
    RAIN,
    SNOW,
    Drive,
)
from kairoscope.simulate.driving.path import poses
from kairoscope.simulate.driving.scene import FAR_M, Scenery, draw_scenery, moving

SMOOTH: Final = 2
"""Drawn this many times larger, so that edges are smooth."""
SKIES: Final[dict[str, tuple[Colour, Colour]]] = {
    CLEAR: ((96, 150, 225), (190, 215, 240)),
    OVERCAST: ((165, 170, 178), (190, 193, 197)),
    RAIN: ((120, 126, 136), (150, 154, 162)),
    SNOW: ((195, 200, 208), (220, 222, 226)),
    FOG: ((190, 193, 196), (190, 193, 196)),
}
"""By day: at the top, and at the horizon."""
LIGHT: Final[dict[str, tuple[float, float, float]]] = {
    DAY: (1.0, 1.0, 1.0),
    DUSK: (0.72, 0.52, 0.48),
    NIGHT: (0.16, 0.17, 0.26),
}
"""Factor on red, green and blue."""
SEEN_M: Final = {CLEAR: 900.0, OVERCAST: 500.0, RAIN: 140.0, SNOW: 120.0, FOG: 26.0}
"""Distance after which 1 / e of a colour is left."""
FIELD: Final[dict[str, Colour]] = {SNOW: (228, 232, 236)}
GRASS: Final[Colour] = (104, 132, 70)
PAVED: Final[Colour] = (140, 138, 130)


def frames(
    drive: Drive,
    rng: np.random.Generator,
    *,
    times_s: NDArray[np.float64],
    size_px: tuple[int, int],
) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a drive: RGB (height, width, 3), one a time.

    `size_px` is (width, height). `rng` decides what decides no label.
    """
    width, height = size_px
    scenery = draw_scenery(drive, rng)
    way = poses(drive, times_s)
    rows = zip(way.x_T, way.z_T, way.heading_T, way.lead_z_T, times_s, strict=True)
    for x, z, heading, lead_z, time_s in rows:
        camera = Camera(x, z, heading, width * SMOOTH, height * SMOOTH)
        picture = _painted(drive, scenery, camera, lead_z, time_s)
        _fall(picture, drive.weather, rng)
        small = picture.resize((width, height), Image.Resampling.BOX)
        noise = rng.normal(0, 2.0, (height, width, 1))
        yield np.clip(np.asarray(small) + noise, 0, 255).astype(np.uint8)


def _painted(
    drive: Drive, scenery: Scenery, camera: Camera, lead_z: float, time_s: float
) -> Image.Image:
    picture = Image.new("RGB", (camera.width_px, camera.height_px))
    pen = ImageDraw.Draw(picture)
    _sky(pen, drive, camera)
    land = FIELD.get(drive.weather, PAVED if drive.road_type == CITY else GRASS)
    flat = [
        ground(-300.0, z, 300.0, z + 12.0, land)
        for z in np.arange(camera.z_m - 320.0, camera.z_m + 320.0, 12.0)
    ]
    shapes = [*flat, *scenery.still, *moving(drive, scenery, lead_z, time_s)]
    for one in painted(shapes, camera, 320.0 if abs(camera.heading) > 0.3 else FAR_M + 60):
        pen.polygon(one.corners, fill=_shaded(drive, one))
    return picture


def _sky(pen: ImageDraw.ImageDraw, drive: Drive, camera: Camera) -> None:
    horizon = int(HORIZON * camera.height_px)
    top, low = (np.array(c) * LIGHT[drive.lighting] for c in SKIES[drive.weather])
    if drive.lighting == DUSK and drive.weather == CLEAR:
        low = np.array([235.0, 140.0, 80.0])
    for v in range(horizon + 1):
        colour = top + (low - top) * v / max(horizon, 1)
        pen.line([(0, v), (camera.width_px, v)], fill=_whole(colour))
    haze = np.array(SKIES[drive.weather][1]) * LIGHT[drive.lighting]
    pen.rectangle([0, horizon, camera.width_px, camera.height_px], fill=_whole(haze))


def _shaded(drive: Drive, one: Painted) -> Colour:
    """Light, headlights and air between a polygon and the camera."""
    light = np.array(LIGHT[drive.lighting])
    colour = np.array(one.colour, float)
    if drive.weather == RAIN and not one.glows:
        colour = colour * 0.78
    if drive.weather == OVERCAST and not one.glows:
        colour = 0.9 * (0.7 * colour + 0.3 * colour.mean())
    if not one.glows:
        beam = 0.0 if drive.lighting == DAY else 0.55 * np.exp(-one.distance_m / 18.0)
        colour = colour * np.minimum(light + beam, 1.0)
    haze = np.array(SKIES[drive.weather][1]) * light
    through = np.exp(-one.distance_m / SEEN_M[drive.weather])
    through = max(through, 0.5) if one.glows else through
    return _whole(haze + (colour - haze) * through)


def _whole(colour: NDArray[np.float64]) -> Colour:
    red, green, blue = (int(c) for c in np.clip(colour, 0, 255))
    return red, green, blue


def _fall(picture: Image.Image, weather: str, rng: np.random.Generator) -> None:
    """Streaks of rain or flakes of snow over a picture."""
    if weather not in (RAIN, SNOW):
        return
    width, height = picture.size
    layer = Image.new("L", picture.size)
    pen = ImageDraw.Draw(layer)
    for u, v in rng.uniform(0, 1, (220, 2)) * (width, height):
        if weather == RAIN:
            pen.line([(u, v), (u - 3, v + height / 14)], fill=110, width=1)
        else:
            r = height / 160
            pen.ellipse([u - r, v - r, u + r, v + r], fill=235)
    picture.paste((205, 210, 220) if weather == RAIN else (250, 250, 252), mask=layer)
