"""Scenes as pictures: balls, boxes, a floor, smooth edges. NumPy alone."""

import colorsys
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kairoscope.simulate.physics.motion import FLOOR, Body
from kairoscope.simulate.physics.scenes import Box, Scene

Picture = NDArray[np.float32]
Shown = NDArray[np.uint8]
PALETTE: Final = (
    (214, 60, 52),
    (238, 140, 40),
    (232, 204, 60),
    (76, 160, 80),
    (60, 150, 190),
    (70, 84, 180),
    (142, 72, 160),
    (220, 120, 150),
)
DARK: Final = 0.55
"""Share of its brightness that an outline keeps."""


def paint(scene: Scene, frames: Sequence[Sequence[Body]], size_px: int) -> Iterator[Shown]:
    """One picture (size_px, size_px, 3) uint8 a frame."""
    empty = _background(scene, size_px)
    for bodies in frames:
        picture = empty.copy()
        cups = [body for body in bodies if body.pinned]
        for body in bodies:
            if not body.pinned:
                _body(picture, body)
        for cup in cups:
            _cup(picture, cup)
        yield np.clip(picture, 0, 255).astype(np.uint8)


def _background(scene: Scene, size_px: int) -> Picture:
    """Wall, floor, and what stands there, in colours of the scene's own."""
    rng = np.random.default_rng(scene.look)
    hue, light = float(rng.uniform()), float(rng.uniform(0.78, 0.92))
    wall = np.array(colorsys.hls_to_rgb(hue, light, 0.25)) * 255
    floor_hue = (hue + float(rng.uniform(0.2, 0.8))) % 1
    floor = np.array(colorsys.hls_to_rgb(floor_hue, light - 0.35, 0.2)) * 255
    picture = np.empty((size_px, size_px, 3), np.float32)
    shade = np.linspace(1.0, 0.93, size_px)[:, None, None]
    picture[:] = wall * shade
    edge = round((1 - FLOOR) * size_px)
    picture[edge:] = floor
    picture[edge : edge + max(1, size_px // 96)] = floor * 0.7
    for box in scene.boxes:
        _static(picture, box)
    return picture


def _static(picture: Picture, box: Box) -> None:
    grey = (96.0, 98.0, 104.0) if box.kind == "post" else (150.0, 150.0, 158.0)
    middle = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
    half = ((box.right - box.left) / 2, (box.top - box.bottom) / 2)
    _fill(picture, middle, half, grey, ball=False)


def _body(picture: Picture, body: Body) -> None:
    colour = PALETTE[body.colour]
    half = (body.size, body.size)
    dark = tuple(DARK * c for c in colour)
    _fill(picture, (body.x, body.y), half, dark, ball=body.is_ball)
    inner = max(0.5 * body.size, body.size - 0.014)
    _fill(picture, (body.x, body.y), (inner, inner), colour, ball=body.is_ball)


def _cup(picture: Picture, cup: Body) -> None:
    """Two walls and a floor, as wide as the body."""
    colour = PALETTE[cup.colour]
    size, wall = cup.size, 0.014
    bottom = cup.y - cup.half
    for side in (-1, 1):
        middle = (cup.x + side * (size - wall / 2), bottom + size)
        _fill(picture, middle, (wall, size), colour, ball=False)
    _fill(picture, (cup.x, bottom + wall / 2), (size, wall), colour, ball=False)


def _fill(
    picture: Picture,
    middle: tuple[float, float],
    half: tuple[float, float],
    colour: Sequence[float],
    *,
    ball: bool,
) -> None:
    """Blend a disc or a rectangle in; edges are one pixel wide. What is outside is left out."""
    side = picture.shape[0]
    x, y = middle[0] * side, (1 - middle[1]) * side
    wide, high = half[0] * side, half[1] * side
    left, right = max(0, int(x - wide - 2)), min(side, int(x + wide + 3))
    top, bottom = max(0, int(y - high - 2)), min(side, int(y + high + 3))
    if left >= right or top >= bottom:
        return
    rows = np.arange(top, bottom)[:, None] + 0.5 - y
    columns = np.arange(left, right)[None, :] + 0.5 - x
    if ball:
        outside = np.hypot(rows, columns) - wide
    else:
        outside = np.maximum(np.abs(rows) - high, np.abs(columns) - wide)
    share = np.clip(0.5 - outside, 0.0, 1.0)[..., None].astype(np.float32)
    part = picture[top:bottom, left:right]
    part += share * (np.asarray(colour, np.float32) - part)
