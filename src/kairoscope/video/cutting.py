"""Clips of their own from part of a longer video, or from pictures: every frame keeps its time.

H.264 at a quality at which robot clips look the same; the frames are those of the source, one for
one, and their times the source's, counted from the first.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from kairoscope.core import UnreadableClip
from kairoscope.storage import storage_error
from kairoscope.video.clip import scan
from kairoscope.video.decode import decode_frames

OPTIONS = {"preset": "superfast", "crf": "16", "g": "12"}
"""Key frames are near to each other, so that a page can jump to any moment."""
TICKS = 90_000
"""A second, in the clips that are made of pictures."""
BORDER_S = 0.002
"""A frame this little before the start of a span belongs to it: spans are rounded."""


def cut_clip(source: Path, start_s: float, end_s: float | None, target: Path) -> int:
    """Write the frames of `source` from `start_s` until before `end_s` to `target`.

    Args:
        source: any video that can be read.
        start_s: in s from its first frame; that frame's time becomes 0.
        end_s: None: to its end.
        target: an MP4 file, whole or not at all.

    Returns:
        How many frames there are.

    Raises UnreadableClip where the source cannot be read or has no frames there, UserError where
    the target cannot be written.
    """
    clip = scan(source)
    stop_s = float("inf") if end_s is None else end_s - BORDER_S
    ticks = [
        tick
        for tick, time_s in zip(clip.packets.shown, clip.times_s, strict=True)
        if start_s - BORDER_S <= time_s < stop_s
    ]
    if not ticks:
        raise UnreadableClip(
            f"{source}: has no frames from {start_s:.2f} s on; it lasts {clip.info.duration_s:.2f} s"
        )
    frames = ((tick - ticks[0], frame) for tick, frame in decode_frames(clip, ticks))
    _write(frames, target, clip.packets.time_base, clip.info.fps)
    return len(ticks)


def write_clip(
    pictures_THWC: NDArray[np.uint8], times_s: Sequence[float] | NDArray[np.float64], target: Path
) -> None:
    """Write (T, H, W, 3) RGB pictures, each at its time in s (ascending, from 0), to an MP4 file.

    Raises UnreadableClip for pictures that cannot be encoded, UserError where the target cannot
    be written.
    """
    if len(pictures_THWC) != len(times_s) or not len(times_s):
        raise UnreadableClip(
            f"{target.name}: {len(pictures_THWC)} pictures for {len(times_s)} frames"
        )
    frames = (
        (
            round(float(time_s) * TICKS),
            VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"),
        )
        for picture, time_s in zip(pictures_THWC, times_s, strict=True)
    )
    steps = np.diff(np.asarray(times_s, dtype=np.float64))
    fps = 1 / float(np.median(steps)) if len(steps) and np.median(steps) > 0 else 30.0
    _write(frames, target, Fraction(1, TICKS), fps)


def _write(
    frames: Iterable[tuple[int, VideoFrame]], target: Path, time_base: Fraction, fps: float
) -> None:
    """Encode (tick, frame) pairs; the file appears when it is complete."""
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(part.absolute()), "w", format="mp4") as output:
            _encode(output, frames, time_base, fps)
        part.replace(target)
    except av.FFmpegError as error:
        raise UnreadableClip(f"{target.name}: cannot be encoded ({error})") from error
    except OSError as error:
        raise storage_error(error, target) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _encode(
    output: Any, frames: Iterable[tuple[int, VideoFrame]], time_base: Fraction, fps: float
) -> None:
    rate = Fraction(fps).limit_denominator(1000)
    encoder = output.add_stream("libx264", rate=rate, options=dict(OPTIONS))
    started = False
    for tick, frame in _even(frames):
        if not started:
            encoder.codec_context.width, encoder.codec_context.height = frame.width, frame.height
            encoder.codec_context.pix_fmt = "yuv420p"
            encoder.codec_context.time_base = time_base
            started = True
        frame.pts, frame.time_base = tick, time_base
        frame.pict_type = 0  # the source's key frames are not to be the target's
        output.mux(encoder.encode(frame))
    output.mux(encoder.encode(None))


def _even(frames: Iterable[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
    """Frames in 4:2:0, which has only even sides."""
    for tick, frame in frames:
        width, height = frame.width + frame.width % 2, frame.height + frame.height % 2
        yield tick, frame.reformat(width=width, height=height, format="yuv420p")
