"""What a model will get to see of a clip, in numbers, and what to change where that is too little."""

import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path

from kairoscope.core import FramePolicy
from kairoscope.video.clip import ClipInfo, scan
from kairoscope.video.sampling import (
    QWEN25_GEOMETRY,
    PatchGeometry,
    frame_size,
    picture_size,
    sample_indices,
)

SMALL_OBJECT = 0.05
"""Share of the picture's width that a small object (a cube, a peg) takes."""
ENOUGH_PATCHES = 2
"""An object seen by fewer patches than this, across, is easily missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameReport:
    """Frames, pixels and tokens of one clip under one policy."""

    info: ClipInfo
    times_s: tuple[float, ...]
    """Of the sampled frames, from the clip's first frame."""
    height: int
    """Of the frames the model sees, in pixels, stamp band included."""
    width: int
    patches_per_frame: int
    vision_tokens: int
    """Of the whole clip; one covers `temporal` frames."""
    total_pixels: int
    """The policy's budget."""
    budget_share: float
    """Share of it that the pictures take, stamp bands not counted; above 1 where the least size of a
    frame asks for more."""
    small_object_patches: float
    """Patches, across, that an object of 5 % of the picture's width covers."""
    advice: tuple[str, ...]


def frame_report(
    path: Path | str, policy: FramePolicy, geometry: PatchGeometry = QWEN25_GEOMETRY
) -> FrameReport:
    """Work out what `load_frames` would give, without decoding. Raises UnreadableClip."""
    clip = scan(path)
    info, all_times_s = clip.info, clip.times_s
    times_s = tuple(all_times_s[index] for index in sample_indices(all_times_s, policy))
    height, width = frame_size(info.width, info.height, len(times_s), policy, geometry)
    picture = picture_size(info.width, info.height, len(times_s), policy, geometry)
    patches = (height // geometry.patch_px) * (width // geometry.patch_px)
    pairs = -(-len(times_s) // geometry.temporal)
    used = picture[0] * picture[1] * len(times_s) / 2
    return FrameReport(
        info=info,
        times_s=times_s,
        height=height,
        width=width,
        patches_per_frame=patches,
        vision_tokens=patches // geometry.merge**2 * pairs,
        total_pixels=policy.total_pixels,
        budget_share=used / policy.total_pixels,
        small_object_patches=SMALL_OBJECT * width / geometry.patch_px,
        advice=_advice(info, all_times_s, times_s, policy, geometry),
    )


def _advice(
    info: ClipInfo,
    all_times_s: tuple[float, ...],
    times_s: tuple[float, ...],
    policy: FramePolicy,
    geometry: PatchGeometry,
) -> tuple[str, ...]:
    advice = _on_sampling(info, all_times_s, times_s, policy)
    _, width = picture_size(info.width, info.height, len(times_s), policy, geometry)
    if not _is_enough(info, len(times_s), policy, geometry):
        advice += _on_small_objects(info, times_s, width, policy, geometry)
    if width > info.width * 1.5:
        advice.append(
            f"the clip is only {info.width} pixels wide and is enlarged to {width}: "
            "a smaller budget costs no detail"
        )
    return tuple(advice)


def _on_sampling(
    info: ClipInfo,
    all_times_s: tuple[float, ...],
    times_s: tuple[float, ...],
    policy: FramePolicy,
) -> list[str]:
    wanted = math.floor(all_times_s[-1] * policy.fps) + 1
    if wanted > policy.max_frames >= len(times_s) and len(all_times_s) > policy.max_frames:
        seen = (len(times_s) - 1) / all_times_s[-1]
        return [
            f"{policy.max_frames} frames at most: the clip of {info.duration_s:.1f} s is sampled at "
            f"{seen:.2f} instead of {policy.fps:g} frames/s; trim it to "
            f"{_floor((policy.max_frames - 1) / policy.fps)} s or raise max_frames to {wanted}"
        ]
    if len(times_s) < wanted:
        return [
            f"the clip shows {info.fps:.2f} frames/s on average, fewer than the {policy.fps:g} asked "
            f"for: {len(times_s)} different frames at {wanted} instants"
        ]
    return []


def _on_small_objects(
    info: ClipInfo,
    times_s: tuple[float, ...],
    width: int,
    policy: FramePolicy,
    geometry: PatchGeometry,
) -> list[str]:
    """What is wrong, and every remedy that is enough by itself, with its number."""
    covered = SMALL_OBJECT * width / geometry.patch_px
    lines = [
        f"an object of {SMALL_OBJECT:.0%} of the picture's width covers {covered:.1f} patches "
        f"({width} pixels wide), {ENOUGH_PATCHES} are wanted"
    ]
    able = _able_policy(info, len(times_s), policy, geometry)
    if able.max_frame_pixels > policy.max_frame_pixels:
        lines.append(f"let frames be larger: max_frame_pixels {able.max_frame_pixels}")
    if able.min_frame_pixels > policy.min_frame_pixels:
        lines.append(
            f"the clip itself is only {info.width} pixels wide; enlarging it adds patches, not "
            f"detail: min_frame_pixels {able.min_frame_pixels}"
        )
    if able.total_pixels <= policy.total_pixels:
        return lines
    lines.append(f"larger budget: total_pixels {able.total_pixels} (now {policy.total_pixels})")
    fitting = _fitting_frames(info, len(times_s), able, policy.total_pixels, geometry)
    if fitting >= 2:
        rate, length_s = (fitting - 1) / times_s[-1], (fitting - 1) / policy.fps
        lines.append(f"or a lower rate: {_floor(rate)} frames/s (now {policy.fps:g})")
        lines.append(f"or a shorter clip: {_floor(length_s)} s (now {info.duration_s:.1f})")
    return lines


def _fitting_frames(
    info: ClipInfo, num_frames: int, able: FramePolicy, total_pixels: int, geometry: PatchGeometry
) -> int:
    """The most frames that are wide enough within `total_pixels`, or 0."""
    for fewer in range(num_frames - 1, 0, -1):
        policy = replace(able, total_pixels=total_pixels)
        height, width = picture_size(info.width, info.height, fewer, policy, geometry)
        within = height * width * fewer <= 2 * total_pixels
        if within and _is_enough(info, fewer, policy, geometry):
            return fewer
    return 0


def _is_enough(
    info: ClipInfo, num_frames: int, policy: FramePolicy, geometry: PatchGeometry
) -> bool:
    _, width = picture_size(info.width, info.height, num_frames, policy, geometry)
    return SMALL_OBJECT * width >= ENOUGH_PATCHES * geometry.patch_px


def _able_policy(
    info: ClipInfo, num_frames: int, policy: FramePolicy, geometry: PatchGeometry
) -> FramePolicy:
    """The policy with the least pixels at which small objects are seen well enough."""
    unit_pixels = geometry.unit_px**2
    columns = math.ceil(ENOUGH_PATCHES * geometry.patch_px / SMALL_OBJECT / geometry.unit_px)
    least = columns * max(1, math.floor(columns * info.height / info.width))
    enlarges = info.width < (columns - 0.5) * geometry.unit_px
    for units in itertools.count(least):
        pixels = units * unit_pixels
        able = replace(
            policy,
            total_pixels=max(policy.total_pixels, math.ceil(pixels * num_frames / 2)),
            max_frame_pixels=max(policy.max_frame_pixels, pixels),
            min_frame_pixels=max(policy.min_frame_pixels, pixels if enlarges else 0),
        )
        if _is_enough(info, num_frames, able, geometry):
            return able
    raise AssertionError("unreachable: with enough pixels any picture is wide enough")


def _floor(value: float) -> str:
    """Rounded down, so that following the advice is enough."""
    digits = 2 if value < 10 else 1
    return f"{math.floor(value * 10**digits) / 10**digits:.{digits}f}"
