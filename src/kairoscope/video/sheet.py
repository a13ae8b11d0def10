"""A contact sheet: what the model sees of a clip, as one picture for a person."""

import math
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from kairoscope.core import UserError
from kairoscope.video.frames import ClipFrames

LEGIBLE_PX = 160
"""Smaller frames are enlarged by a whole number, so that each of their pixels stays a square."""
WIDEST_PX = 2800
"""Of the whole sheet, where frames are large: then there are fewer in a row."""
GAP_PX = 4
CAPTION_PX = 16
GRID_COLOUR = (255, 0, 255)
PAPER = (24, 24, 28)
INK = (230, 230, 235)


def contact_sheet(
    frames: ClipFrames,
    path: Path,
    *,
    max_columns: int = 8,
    max_frames: int = 96,
    title: str = "",
    grid_px: int = 0,
) -> Path:
    """Write a PNG with the frames in reading order, each with its real time below it.

    Args:
        frames: as `load_frames` gives them, stamps included.
        path: file to write; its folder is made.
        max_columns: frames in a row, fewer where they are large.
        max_frames: a longer clip is shown by so many frames, spread evenly; the heading says so.
        title: written above.
        grid_px: draw a grid of this many pixels of the frame, such as the side of a patch or of a
            vision token (28 for Qwen2.5-VL); 0 draws none.

    Returns `path`. Raises UserError when it cannot be written.
    """
    count = len(frames.times_s)
    chosen = _spread(count, max_frames)
    height, width = frames.pixels_THWC.shape[1:3]
    enlarge = max(1, math.ceil(LEGIBLE_PX / max(height, width)))
    cell_width, cell_height = width * enlarge, height * enlarge + CAPTION_PX
    columns = max(1, min(max_columns, len(chosen), WIDEST_PX // cell_width))
    rows = math.ceil(len(chosen) / columns)
    top = 2 * CAPTION_PX + GAP_PX
    size = (columns * (cell_width + GAP_PX) + GAP_PX, rows * (cell_height + GAP_PX) + top)
    sheet = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(CAPTION_PX - 4)
    shown = f"{len(chosen)} of {count} frames" if len(chosen) < count else f"{count} frames"
    heading = f"{shown}, {width} x {height}" + (f", shown {enlarge} x" if enlarge > 1 else "")
    draw.text((GAP_PX, 2), title or frames.info.path.name, INK, ImageFont.load_default(CAPTION_PX))
    draw.text((GAP_PX, CAPTION_PX + 3), heading, INK, font)
    for place, index in enumerate(chosen):
        left = GAP_PX + (place % columns) * (cell_width + GAP_PX)
        upper = top + (place // columns) * (cell_height + GAP_PX)
        sheet.paste(_picture(frames.pixels_THWC[index], enlarge, grid_px), (left, upper))
        caption = f"{frames.times_s[index]:.3f} s"
        draw.text((left, upper + height * enlarge + 1), caption, INK, font)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, format="PNG")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path


def _spread(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / max(most - 1, 1)) for place in range(most)]


def _picture(pixels_HWC: torch.Tensor, enlarge: int, grid_px: int) -> Image.Image:
    height, width = pixels_HWC.shape[:2]
    picture = Image.fromarray(pixels_HWC.numpy())
    picture = picture.resize((width * enlarge, height * enlarge), Image.Resampling.NEAREST)
    if grid_px:
        draw = ImageDraw.Draw(picture)
        for x in range(grid_px, width, grid_px):
            draw.line((x * enlarge, 0, x * enlarge, height * enlarge), GRID_COLOUR)
        for y in range(grid_px, height, grid_px):
            draw.line((0, y * enlarge, width * enlarge, y * enlarge), GRID_COLOUR)
    return picture
