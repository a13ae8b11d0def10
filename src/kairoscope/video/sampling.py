"""Which frames a policy takes, and how large they become. Pure arithmetic, no pixels."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from kairoscope.core import FramePolicy, UserError

TIME_TOLERANCE_S = 0.0005
"""Container times are rounded to ticks of up to a millisecond: 1/3 s may be stored as 0.333."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchGeometry:
    """How a vision tower cuts frames into patches and how it expects colours to be scaled."""

    patch_px: int = 14
    """Side of a square patch."""
    merge: int = 2
    """`merge` x `merge` patches become one vision token."""
    temporal: int = 2
    """Consecutive sampled frames in one patch."""
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    """Per channel (RGB), on a scale of 0 to 1."""
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    @property
    def unit_px(self) -> int:
        """Side of the square of one vision token: frames are multiples of it."""
        return self.patch_px * self.merge


QWEN25_GEOMETRY = PatchGeometry()
"""Qwen2.5-VL and Cosmos-Reason1: patches of 14, CLIP's mean and standard deviation."""
QWEN3_GEOMETRY = PatchGeometry(patch_px=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""Qwen3-VL and Cosmos-Reason2."""


def sample_indices(times_s: Sequence[float], policy: FramePolicy) -> tuple[int, ...]:
    """Frames on display at 0, 1 / fps, 2 / fps, ... up to the last frame's time.

    Args:
        times_s: presentation times of all frames in seconds from the first one, ascending.
        policy: `fps` and `max_frames` are used.

    Returns:
        Strictly ascending indices into `times_s`, 1 to `max_frames` of them. A frame on display
        for several sampling instants is taken once. Where more than `max_frames` would be taken,
        `max_frames` instants are spread evenly from the first frame's time to the last one's.
    """
    if not times_s:
        raise UserError("a clip without frames cannot be sampled")
    if policy.fps <= 0 or policy.max_frames < 1:
        raise UserError(
            f"fps = {policy.fps} and max_frames = {policy.max_frames}: "
            "fps must be above 0 and max_frames at least 1"
        )
    indices = _at_rate(times_s, policy.fps)
    if len(indices) <= policy.max_frames:
        return indices
    gap_s = times_s[-1] / max(policy.max_frames - 1, 1)
    shown = (_displayed(times_s, i * gap_s) for i in range(policy.max_frames))
    return tuple(dict.fromkeys(shown))


def _at_rate(times_s: Sequence[float], fps: float) -> tuple[int, ...]:
    """Frames on display at any i / fps. Goes through the frames, not the instants: a damaged file may
    claim to last for centuries.
    """
    chosen = [0]
    for index in range(1, len(times_s)):
        # The first instant at which this frame has appeared, found despite rounding.
        near = math.ceil((times_s[index] - TIME_TOLERANCE_S) * fps) - 1
        first = next(
            i for i in (near, near + 1, near + 2) if _has_appeared(times_s, index, i / fps)
        )
        is_last = index == len(times_s) - 1
        if is_last:
            on_display = first / fps <= times_s[-1] + TIME_TOLERANCE_S
        else:
            on_display = not _has_appeared(times_s, index + 1, first / fps)
        if on_display:
            chosen.append(index)
    return tuple(chosen)


def _has_appeared(times_s: Sequence[float], index: int, instant_s: float) -> bool:
    return times_s[index] <= instant_s + TIME_TOLERANCE_S


def _displayed(times_s: Sequence[float], instant_s: float) -> int:
    return max(bisect_right(times_s, instant_s + TIME_TOLERANCE_S) - 1, 0)


def picture_size(
    width: int, height: int, num_frames: int, policy: FramePolicy, geometry: PatchGeometry
) -> tuple[int, int]:
    """(height, width) in pixels to which the picture itself is resized, without a stamp band.

    Both sides are multiples of `geometry.unit_px`, at least one unit. Pixels a frame are at most
    clamp(total_pixels / num_frames * 2, min_frame_pixels, max_frame_pixels) and, where the upper
    bound allows, at least `min_frame_pixels`. The aspect ratio is kept as well as the units
    allow. The rounding is Qwen2.5-VL's `smart_resize`: to the nearest unit, or down (up) after
    scaling when that is above (below) the bounds. Unlike there, a very long and narrow frame is no
    error: its long side is cut to the budget.
    """
    if min(width, height, num_frames) < 1:
        raise UserError(f"{num_frames} frames of {width} x {height}: every number must be positive")
    unit = geometry.unit_px
    shared = policy.total_pixels / num_frames * 2
    most = max(min(shared, policy.max_frame_pixels), policy.min_frame_pixels, unit * unit)
    rows, columns = max(1, round(height / unit)), max(1, round(width / unit))
    if rows * columns * unit * unit > most:
        shrink = math.sqrt(height * width / most)
        rows = max(1, math.floor(height / shrink / unit))
        columns = max(1, math.floor(width / shrink / unit))
    elif rows * columns * unit * unit < policy.min_frame_pixels:
        grow = math.sqrt(policy.min_frame_pixels / (height * width))
        rows, columns = math.ceil(height * grow / unit), math.ceil(width * grow / unit)
    units = math.floor(most / (unit * unit))
    if rows * columns > units:
        rows, columns = _within(units, rows, columns)
    return rows * unit, columns * unit


def _within(units: int, rows: int, columns: int) -> tuple[int, int]:
    """Shorten the longer side so that at most `units` remain."""
    if rows >= columns:
        return max(1, units // columns), min(columns, units)
    return min(rows, units), max(1, units // rows)


def band_height(picture_height_px: int, policy: FramePolicy, geometry: PatchGeometry) -> int:
    """Pixels of the black band below the picture: whole units, 0 unless the policy asks for it."""
    if policy.stamp == "none" or policy.stamp_place != "band":
        return 0
    unit = geometry.unit_px
    return max(1, math.ceil(policy.stamp_height * picture_height_px / unit)) * unit


def frame_size(
    width: int, height: int, num_frames: int, policy: FramePolicy, geometry: PatchGeometry
) -> tuple[int, int]:
    """(height, width) in pixels of the frames the model sees.

    Args:
        width: of the clip as displayed.
        height: of the clip as displayed.
        num_frames: number of sampled frames, among which `total_pixels` is shared.
        policy: the pixel budget and the place of the stamp.
        geometry: gives the unit that both sides are multiples of.

    The budget is for the picture (see `picture_size`). A stamp band (`stamp_place == "band"`,
    unless nothing is stamped) comes on top of it: ceil(stamp_height * picture height / unit)
    units, at least one.
    """
    picture_height_px, width_px = picture_size(width, height, num_frames, policy, geometry)
    return picture_height_px + band_height(picture_height_px, policy, geometry), width_px
