"""A clip -> the frames a model sees: sampled, resized, stamped."""

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from torch.nn import functional

from kairoscope.core import FramePolicy, Span
from kairoscope.video.clip import ClipInfo, Scan, scan
from kairoscope.video.decode import decode_frames
from kairoscope.video.sampling import (
    QWEN25_GEOMETRY,
    TIME_TOLERANCE_S,
    PatchGeometry,
    band_height,
    picture_size,
    sample_indices,
)
from kairoscope.video.stamps import stamp_layout

BATCH_PIXELS = 8 * 640 * 480
"""Decoded frames go to the thread that converts them in batches of about so many pixels: waking a thread
for every small picture costs more than it gains, and few large ones fit into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFrames:
    """What the model sees of a clip."""

    info: ClipInfo
    times_s: tuple[float, ...]
    """Presentation time of every sampled frame, seconds from the clip's first frame."""
    indices: tuple[int, ...]
    """Which of the clip's frames they are."""
    pixels_THWC: torch.Tensor
    """uint8 RGB (sampled frames, height, width, 3), stamped; not padded to whole temporal patches."""
    labels: tuple[str, ...]
    """The stamp on every frame; empty texts where the policy stamps nothing."""


NO_FRAMES = ClipFrames(
    info=ClipInfo(
        path=Path(),
        duration_s=0.0,
        num_frames=0,
        fps=0.0,
        width=0,
        height=0,
        rotation_deg=0,
        codec="",
        has_audio=False,
        variable_rate=False,
    ),
    times_s=(),
    indices=(),
    pixels_THWC=torch.zeros((0, 0, 0, 3), dtype=torch.uint8),
    labels=(),
)
"""What is seen where a question comes without a clip."""


def load_frames(
    path: Path | str,
    policy: FramePolicy,
    geometry: PatchGeometry = QWEN25_GEOMETRY,
    span: Span | None = None,
) -> ClipFrames:
    """Decode, sample, resize and stamp a clip, or a span of it, whose times then begin at 0.

    Resizing is bicubic with antialiasing on bytes, which gives the pixels of the Hugging Face video
    processors exactly. Only sampled frames are converted and kept. Raises UnreadableClip naming the
    file and the reason.
    """
    clip = scan(path)
    first, times_s = spanned(clip.times_s, span) if span else (0, clip.times_s)
    indices = tuple(first + index for index in sample_indices(times_s, policy))
    info = clip.info
    height, width = picture_size(info.width, info.height, len(indices), policy, geometry)
    band = band_height(height, policy, geometry)
    # From NumPy, which asks for huge pages: filling new memory is a good part of the cost.
    pixels = torch.from_numpy(np.zeros((len(indices), height + band, width, 3), np.uint8))
    _fill(pixels[:, :height], clip, [clip.packets.shown[index] for index in indices])
    sampled_s = tuple(times_s[index - first] for index in indices)
    labels = _stamp(pixels, sampled_s, height, policy)
    return ClipFrames(
        info=info, times_s=sampled_s, indices=indices, pixels_THWC=pixels, labels=labels
    )


def spanned(times_s: Sequence[float], span: Span) -> tuple[int, tuple[float, ...]]:
    """(index of the first frame of a span, times of its frames as the span has them told).

    The first frame is the one on display when the span begins; one at least is in it.
    """
    first = max(0, bisect_right(times_s, span.start_s + TIME_TOLERANCE_S) - 1)
    last = max(first + 1, bisect_right(times_s, span.end_s + TIME_TOLERANCE_S))
    begin_s = times_s[first]
    return first, tuple((time_s - begin_s) * span.slow for time_s in times_s[first:last])


def stamped(
    pictures_THWC: torch.Tensor,
    times_s: tuple[float, ...],
    policy: FramePolicy,
    geometry: PatchGeometry = QWEN25_GEOMETRY,
) -> torch.Tensor:
    """Pictures that were loaded without a stamp -> the same with band and labels of the policy.

    Training uses it to show other times on frames that were decoded once. `pictures_THWC` is not
    changed; the result is what `load_frames` gives for a clip of these pictures and times.
    """
    num_frames, height, width, channels = pictures_THWC.shape
    band = band_height(height, policy, geometry)
    pixels = torch.zeros((num_frames, height + band, width, channels), dtype=torch.uint8)
    pixels[:, :height] = pictures_THWC
    _stamp(pixels, times_s, height, policy)
    return pixels


def _fill(pixels_THWC: torch.Tensor, clip: Scan, wanted: list[int]) -> None:
    """Decode the wanted frames into `pixels_THWC`; one thread decodes, another converts."""
    height, width = pixels_THWC.shape[1:3]
    pictures = pixels_THWC.numpy()
    reformatter = VideoReformatter()

    def convert(first: int, frames: list[VideoFrame]) -> None:
        for position, frame in enumerate(frames, first):
            rgb = _rgb(frame, reformatter, clip.info.rotation_deg)
            # Copied by NumPy: torch would share these few bytes out among its threads, which then
            # wait busily for the next frame.
            pictures[position] = _resized(rgb, height, width).numpy()

    size = max(1, BATCH_PIXELS // (clip.info.width * clip.info.height))
    frames = (frame for _, frame in decode_frames(clip, wanted))
    with ThreadPoolExecutor(1) as converter:
        before: Future[None] | None = None
        for first in range(0, len(wanted), size):
            batch = list(itertools.islice(frames, size))
            if before is not None:
                before.result()
            before = converter.submit(convert, first, batch)
        if before is not None:
            before.result()


def _rgb(frame: VideoFrame, reformatter: VideoReformatter, rotation_deg: int) -> torch.Tensor:
    """Uint8 RGB (height, width, 3), upright.

    One reformatter for the clip and one thread: setting a converter up costs more than converting.
    """
    rgb = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    picture = torch.from_numpy(rgb)
    return torch.rot90(picture, rotation_deg // 90) if rotation_deg else picture


def _resized(picture: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Uint8 (height, width, 3)."""
    if picture.shape[:2] == (height, width):
        return picture
    # The batch dimension comes first: only then is this view known as channels-last, and the result
    # is too. Twice as fast as `picture.permute(2, 0, 1)[None]`.
    batch = picture[None].permute(0, 3, 1, 2)
    resized = functional.interpolate(batch, (height, width), mode="bicubic", antialias=True)
    return resized[0].permute(1, 2, 0)


def _stamp(
    pixels_THWC: torch.Tensor, times_s: tuple[float, ...], height: int, policy: FramePolicy
) -> tuple[str, ...]:
    """Draw the labels in place and return them."""
    if policy.stamp == "none":
        return ("",) * len(times_s)
    step = 2 if policy.stamp == "pair" else 1
    band = pixels_THWC.shape[1] - height
    layout = stamp_layout(pixels_THWC.shape[2], height, band, policy.stamp_height, times_s[-1])
    rows = slice(layout.top_px, layout.top_px + layout.height_px)
    columns = slice(layout.left_px, layout.left_px + layout.width_px)
    stamps = pixels_THWC[:, rows, columns].numpy()
    labels: list[str] = []
    for start in range(0, len(times_s), step):
        text = layout.text(times_s[start])
        stamps[start : start + step] = layout.tile(text)[:, :, None]
        labels += [text] * len(times_s[start : start + step])
    return tuple(labels)
