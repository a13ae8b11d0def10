"""A stamp on decoded 4:2:0 frames: a copy of ready grey levels into the luma plane."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from kairoscope.core import FramePolicy
from kairoscope.video.clip import Scan
from kairoscope.video.sampling import sample_indices
from kairoscope.video.stamps import StampLayout, stamp_layout

PLANAR = ("yuv420p", "yuvj420p")
"""8-bit 4:2:0 formats that are stamped as they are. Everything else is converted to the first."""
NEUTRAL = 128
"""Chroma of grey."""
Plane = NDArray[np.uint8]


def label_times(times_s: Sequence[float], policy: FramePolicy) -> tuple[float, ...]:
    """The time in seconds that each frame's label shows.

    `frame`: its own. `pair`: that of the first frame of the pair of sampled frames it belongs to,
    when the clip is sampled as the policy says.
    """
    if policy.stamp == "frame":
        return tuple(times_s)
    starts = sample_indices(times_s, policy)[::2]
    shown: list[float] = []
    for start, following in zip(starts, (*starts[1:], len(times_s)), strict=True):
        shown += [times_s[start]] * (following - start)
    return tuple(shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """How every frame of a clip is turned upright, padded and stamped."""

    coded_width: int
    coded_height: int
    rotation_deg: int
    width: int
    """Of the result, even."""
    picture_height: int
    """Of the result without the band, even."""
    band_px: int
    """Height of the black band below the picture; even."""
    layout: StampLayout
    labels_s: tuple[float, ...]
    """For every displayed frame of the clip."""
    reformatter: VideoReformatter

    @classmethod
    def fit(cls, clip: Scan, policy: FramePolicy) -> Self:
        """Lay the stamp out for one clip."""
        info = clip.info
        sideways = info.rotation_deg % 180 != 0
        coded = (info.height, info.width) if sideways else (info.width, info.height)
        width, height = info.width + info.width % 2, info.height + info.height % 2
        band_px = 0
        if policy.stamp_place == "band":
            band_px = 2 * max(8, round(policy.stamp_height * height))
        labels_s = label_times(clip.times_s, policy)
        return cls(
            coded_width=coded[0],
            coded_height=coded[1],
            rotation_deg=info.rotation_deg,
            width=width,
            picture_height=height,
            band_px=band_px,
            layout=stamp_layout(width, height, band_px, policy.stamp_height, labels_s[-1]),
            labels_s=labels_s,
            reformatter=VideoReformatter(),
        )

    @property
    def height(self) -> int:
        """Of the result, even."""
        return self.picture_height + self.band_px

    def draw(self, frame: VideoFrame, index: int) -> VideoFrame:
        """The stamped frame, 8-bit 4:2:0. `frame` may be overwritten; `index` picks the label."""
        frame = self._planar(frame)
        if self.rotation_deg or (frame.width, frame.height) != (self.width, self.height):
            frame = self._fitted(frame)
        else:
            frame.make_writable()  # a copy where the decoder still refers to this picture
        black, white = (0, 255) if _is_full_range(frame) else (16, 235)
        layout = self.layout
        tile = layout.tile(layout.text(self.labels_s[index]))
        box = (layout.top_px, layout.height_px, layout.left_px, layout.width_px)
        levels = np.linspace(black, white, 256).round().astype(np.uint8)
        for number, plane in enumerate(_planes(frame)):
            top, height, left, width = box if number == 0 else (side // 2 for side in box)
            target = plane[top : top + height, left : left + width]
            target[:] = levels[tile] if number == 0 else NEUTRAL
        return frame

    def _planar(self, frame: VideoFrame) -> VideoFrame:
        """8-bit 4:2:0 of the clip's size, should the stream change its format on the way."""
        size = (self.coded_width, self.coded_height)
        if frame.format.name in PLANAR and (frame.width, frame.height) == size:
            return frame
        limited = ColorRange.MPEG
        converted = self.reformatter.reformat(
            frame, *size, format=PLANAR[0], dst_color_range=limited, threads=1
        )
        converted.color_range = limited
        return converted

    def _fitted(self, frame: VideoFrame) -> VideoFrame:
        """Upright, padded to even sides with the nearest pixels, with a black band below."""
        result = VideoFrame(self.width, self.height, frame.format.name)
        result.color_range = frame.color_range
        black = 0 if _is_full_range(frame) else 16
        pairs = zip(_planes(frame), _planes(result), strict=True)
        for number, (source, target) in enumerate(pairs):
            upright = np.rot90(source, self.rotation_deg // 90)
            shrink = 1 if number == 0 else 2
            picture = target[: self.picture_height // shrink]
            missing = [
                (0, want - have) for want, have in zip(picture.shape, upright.shape, strict=True)
            ]
            picture[:] = np.pad(upright, missing, mode="edge")
            target[self.picture_height // shrink :] = black if number == 0 else NEUTRAL
        return result


def _is_full_range(frame: VideoFrame) -> bool:
    return frame.color_range == ColorRange.JPEG or frame.format.name == "yuvj420p"


def _planes(frame: VideoFrame) -> list[Plane]:
    """Views of Y, U and V without the padding at the end of lines. Writing changes the frame."""
    views: list[Plane] = []
    for plane in frame.planes:
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        views.append(lines[: plane.height, : plane.width])
    return views
