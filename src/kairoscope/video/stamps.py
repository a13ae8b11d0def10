"""Time stamps: digits rendered once per size, then copied onto frames."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

GLYPHS = "0123456789.:s "
MIN_DIGIT_PX = 10
"""Below this a person cannot read the digits; undercut only where the frame is too narrow."""
BAND_FILL = 0.64
"""In a band, which hides nothing, digits grow to this share of its height."""
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class GlyphAtlas:
    """Glyphs of one size, white on black. All digits and the blank are equally wide."""

    digit_px: int
    """Height of the digit 0."""
    height_px: int
    """Height of every tile: the digits with a margin above and below."""
    tiles: Mapping[str, Bytes]
    """Glyph -> (height_px, its width), 0 black to 255 white."""

    def width_px(self, text: str) -> int:
        """Width of a rendered text."""
        return sum(self.tiles[glyph].shape[1] for glyph in text)

    def render(self, text: str) -> Bytes:
        """(height_px, width_px(text)), 0 black to 255 white."""
        return np.concatenate([self.tiles[glyph] for glyph in text], axis=1)


@lru_cache(maxsize=64)
def glyph_atlas(digit_px: int) -> GlyphAtlas:
    """Render the glyphs with Pillow's built-in scalable font at digits `digit_px` high."""
    reference = ImageFont.load_default(100.0)
    _, top, _, bottom = reference.getbbox("0")
    font = ImageFont.load_default(max(1.0, digit_px * 100.0 / (bottom - top)))
    margin = max(1, round(digit_px * 0.2))
    digit_width = max(math.ceil(font.getlength(glyph)) for glyph in "0123456789")
    _, digit_top, _, _ = font.getbbox("0")
    height_px = digit_px + 2 * margin + digit_px % 2
    tiles: dict[str, Bytes] = {}
    for glyph in GLYPHS:
        advance = font.getlength(glyph)
        width_px = digit_width if glyph in "0123456789 " else math.ceil(advance)
        tile = Image.new("L", (width_px, height_px), 0)
        place = ((width_px - advance) / 2, margin - digit_top)
        ImageDraw.Draw(tile).text(place, glyph, fill=255, font=font)
        tiles[glyph] = np.asarray(tile).copy()
    return GlyphAtlas(digit_px=digit_px, height_px=height_px, tiles=tiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class StampLayout:
    """Where the label of a clip stands and how it is written; the same for all its frames.

    The decimal point does not move while the digits count up, nor from clip to clip of one size:
    room for two digits before it is kept where the width allows.
    """

    atlas: GlyphAtlas
    field: int
    """Characters of the number, blanks in front included."""
    unit: str
    """`s`, or nothing where the frame is narrow."""
    top_px: int
    left_px: int
    height_px: int
    width_px: int
    """The box. All four are even, so that it covers whole chroma samples of 4:2:0 video."""

    def text(self, time_s: float) -> str:
        """What the label says, such as `2.90s`."""
        return f"{time_s:.2f}{self.unit}"

    def tile(self, text: str) -> Bytes:
        """(height_px, width_px) grey levels of the whole box with this text in it."""
        label = self.atlas.render(text.rjust(self.field + len(self.unit)))
        box = np.zeros((self.height_px, self.width_px), np.uint8)
        label = label[: self.height_px, : self.width_px]
        y = (self.height_px - label.shape[0]) // 2
        x = (self.width_px - label.shape[1]) // 2
        box[y : y + label.shape[0], x : x + label.shape[1]] = label
        return box


def stamp_layout(
    width_px: int, picture_height_px: int, band_px: int, stamp_height: float, last_time_s: float
) -> StampLayout:
    """Fit the label at the bottom of the frame, in the middle.

    Args:
        width_px: of the frame.
        picture_height_px: without the band.
        band_px: height of a band below the picture that the label stands in; 0 puts the label on
            the bottom of the picture.
        stamp_height: height of the digits as a share of the picture's height. They are at least 10
            pixels high, larger in a band that has room, and smaller where the label would not fit.
        last_time_s: the latest time that will be written.
    """
    room_px = band_px or picture_height_px
    wanted_px = max(round(stamp_height * picture_height_px), MIN_DIGIT_PX)
    if band_px:
        wanted_px = max(wanted_px, math.floor(band_px * BAND_FILL))
    digits = len(f"{max(last_time_s, 0.0):.2f}")
    choices = [(max(digits, 5), "s"), (max(digits, 5), ""), (digits, "")]
    for field, unit in dict.fromkeys(choices):
        atlas = glyph_atlas(wanted_px)
        if _fits(atlas, field, unit, width_px, room_px):
            break
    while not _fits(atlas, field, unit, width_px, room_px) and atlas.digit_px > 1:
        atlas = glyph_atlas(atlas.digit_px - 1)
    box_height = _even(min(atlas.height_px, room_px))
    box_width = _even(min(atlas.width_px(_widest(field, unit)) + atlas.digit_px // 2, width_px))
    bottom = picture_height_px + band_px
    return StampLayout(
        atlas=atlas,
        field=field,
        unit=unit,
        top_px=_even(bottom - box_height - (band_px - box_height) // 2 * (band_px > 0)),
        left_px=_even((width_px - box_width) // 2),
        height_px=box_height,
        width_px=box_width,
    )


def _widest(field: int, unit: str) -> str:
    return "0" * (field - 3) + ".00" + unit


def _fits(atlas: GlyphAtlas, field: int, unit: str, width_px: int, room_px: int) -> bool:
    wide = atlas.width_px(_widest(field, unit)) <= width_px - width_px % 2
    return wide and atlas.height_px <= room_px - room_px % 2


def _even(value_px: int) -> int:
    return max(0, value_px - value_px % 2)
