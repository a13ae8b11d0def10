"""Labels can be read back from the pixels, and stand where they should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kairoscope.video.stamps import GLYPHS, GlyphAtlas, StampLayout, glyph_atlas, stamp_layout


def read_label(pixels: NDArray[np.uint8], layout: StampLayout) -> str:
    """Match the glyphs of the atlas against (H, W) grey levels, cell by cell, from the right."""
    box = pixels[
        layout.top_px : layout.top_px + layout.height_px,
        layout.left_px : layout.left_px + layout.width_px,
    ].astype(float)
    template = "0" * (layout.field - 3) + ".00" + layout.unit
    right = (layout.width_px + layout.atlas.width_px(template)) // 2
    top = (layout.height_px - layout.atlas.height_px) // 2
    read = ""
    for place in reversed(template):
        candidates = "0123456789 " if place == "0" else place
        width = layout.atlas.tiles[place].shape[1]
        cell = box[top : top + layout.atlas.height_px, right - width : right]
        errors = {
            glyph: np.abs(cell - layout.atlas.tiles[glyph]).mean()
            for glyph in candidates
            if layout.atlas.tiles[glyph].shape[1] == width
        }
        read = min(errors, key=lambda glyph: errors[glyph]) + read
        right -= width
    return read.strip()


def _distance(atlas: GlyphAtlas, one: str, other: str) -> float:
    a, b = atlas.tiles[one].astype(float), atlas.tiles[other].astype(float)
    return float(np.abs(a - b).mean() / 255)


@pytest.mark.parametrize("digit_px", [6, 8, 10, 12, 18, 40, 130])
def test_glyphs_can_be_told_apart(digit_px: int) -> None:
    atlas = glyph_atlas(digit_px)
    assert set(atlas.tiles) == set(GLYPHS)
    for tile in atlas.tiles.values():
        assert tile.shape[0] == atlas.height_px
        assert tile.shape[0] % 2 == 0
    for digit in "0123456789":
        inked = np.flatnonzero(atlas.tiles[digit].max(axis=1) > 100)
        assert abs(inked[-1] - inked[0] + 1 - digit_px) <= max(1, 0.06 * digit_px)
        assert atlas.tiles[digit].max() > 190
    for one in "0123456789 ":
        for other in "0123456789 ":
            assert one == other or _distance(atlas, one, other) > 0.03


@settings(deadline=None, max_examples=50)
@given(
    st.integers(28, 600),
    st.integers(28, 600),
    st.sampled_from([0, 28, 56]),
    st.sampled_from([0.05, 0.12, 0.2, 0.5]),
    st.floats(0, 5000),
    st.floats(0, 1),
)
def test_every_label_is_read_back(
    width: int, height: int, band: int, share: float, last_s: float, at: float
) -> None:
    layout = stamp_layout(width, height, band, share, last_s)
    time_s = at * last_s
    frame = np.full((height + band, width), 77, np.uint8)
    box = (layout.top_px, layout.left_px, layout.height_px, layout.width_px)
    assert all(side % 2 == 0 for side in box)
    assert layout.top_px + layout.height_px <= height + band
    assert layout.left_px + layout.width_px <= width
    tile = layout.tile(layout.text(time_s))
    assert tile.shape == (layout.height_px, layout.width_px)
    frame[layout.top_px :, layout.left_px :][: layout.height_px, : layout.width_px] = tile
    if layout.atlas.digit_px >= 6:
        assert read_label(frame, layout) == f"{time_s:.2f}{layout.unit}"
    if band:
        assert layout.top_px >= height - 1
    if width >= 84 and last_s < 100:
        assert layout.atlas.digit_px >= 10


def test_size_of_the_digits() -> None:
    assert stamp_layout(1000, 500, 0, 0.12, 9.0).atlas.digit_px == 60
    assert stamp_layout(84, 84, 0, 0.05, 9.0).atlas.digit_px == 10
    assert stamp_layout(112, 84, 28, 0.12, 9.0).atlas.digit_px == 17
    assert stamp_layout(84, 84, 28, 0.12, 99.0).atlas.digit_px == 17
    narrow = stamp_layout(28, 84, 28, 0.12, 5000.0)
    assert narrow.atlas.width_px("0000.00") <= 28


def test_the_point_stays_in_place() -> None:
    """Whatever the clip's length below 100 s: a model may learn where the digits stand."""
    short, long = (stamp_layout(84, 84, 28, 0.12, last_s) for last_s in (2.0, 99.9))
    assert short == long
    assert np.array_equal(short.tile("3.25"), long.tile("3.25"))


def test_units_only_where_there_is_room() -> None:
    assert stamp_layout(448, 336, 0, 0.12, 9.0).text(1.234) == "1.23s"
    assert stamp_layout(56, 84, 28, 0.12, 9.0).text(1.234) == "1.23"
