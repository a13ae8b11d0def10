"""The frames that a policy takes of a clip -> what a server is sent, every one of them kept.

The server must see the frames that training saw: sampled at the policy's rate, resized and stamped
after sampling. So it is sent these, not the clip: as a video without loss in which every frame is one
that it must sample, or as pictures.
"""

import base64
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image

from kairoscope.core import FramePolicy
from kairoscope.models.server.options import Send
from kairoscope.models.server.wire import Medium
from kairoscope.video.frames import ClipFrames
from kairoscope.video.sampling import PatchGeometry

Way = Literal["file", "base64", "frames", "images", "nothing"]
"""How frames travel; `nothing`: there are none. `frames`: lossless pictures that the server puts together to a video;
`images`: pictures that the model sees as pictures."""
WAYS: dict[Send, tuple[Way, ...]] = {
    "auto": ("file", "base64", "frames", "images"),
    "file": ("file",),
    "base64": ("base64",),
    "frames": ("frames",),
    "images": ("images",),
}
"""What is tried, in order, for what the user asks for."""
CODEC, OPTIONS = "libx264rgb", {"crf": "0", "preset": "veryfast"}
"""Without loss, and in RGB: no colour is rounded. Every FFmpeg reads it."""


def rate_of(frames: ClipFrames, policy: FramePolicy) -> Fraction:
    """Frames a second as the model's clock shall see them.

    The mean rate of the frames that were taken (a clip may be shorter than the policy's rate, or have
    more than `max_frames`), slowed by `clock_scale`, which servers know nothing of.
    """
    times_s = frames.times_s
    rate = policy.fps
    if len(times_s) > 1 and times_s[-1] > times_s[0]:
        rate = (len(times_s) - 1) / (times_s[-1] - times_s[0])
    return Fraction(rate / policy.clock_scale).limit_denominator(10_000)


def as_video(frames: ClipFrames, policy: FramePolicy, geometry: PatchGeometry) -> bytes:
    """An MP4 of the frames, lossless, at the rate of `rate_of`.

    The last frame is repeated until temporal patches are full, as the model's input has it: servers
    cut to a multiple, and would drop a frame.
    """
    pixels = frames.pixels_THWC.numpy()
    missing = -len(pixels) % geometry.temporal
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(CODEC, rate=rate_of(frames, policy), options=OPTIONS)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = pixels.shape[1:3]
        stream.pix_fmt = "rgb24"
        stream.codec_context.thread_count = 1
        for picture in (*pixels, *[pixels[-1]] * missing):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def as_pictures(frames: ClipFrames, geometry: PatchGeometry | None) -> list[str]:
    """Base64 of one lossless PNG a frame; with a geometry, as many as fill temporal patches."""
    found = []
    for picture in frames.pixels_THWC.numpy():
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG", compress_level=1)
        found.append(base64.b64encode(file.getvalue()).decode("ascii"))
    missing = -len(found) % geometry.temporal if geometry is not None else 0
    return found + [found[-1]] * missing


@contextmanager
def medium(
    way: Way, frames: ClipFrames, policy: FramePolicy, geometry: PatchGeometry, folder: Path
) -> Iterator[Medium]:
    """What is sent for a clip. A file in `folder` lasts as long as the context."""
    if way == "nothing":
        yield Medium(parts=(), settings={})
        return
    if way == "images":
        parts = [_image(picture) for picture in as_pictures(frames, None)]
        yield Medium(parts=tuple(parts), settings={})
        return
    settings = _settings(frames, policy, geometry)
    if way == "frames":
        url = "data:video/jpeg;base64," + ",".join(as_pictures(frames, geometry))
        yield Medium(parts=(_video(url),), settings=settings)
        return
    content = as_video(frames, policy, geometry)
    if way == "base64":
        url = "data:video/mp4;base64," + base64.b64encode(content).decode("ascii")
        yield Medium(parts=(_video(url),), settings=settings)
        return
    with _file(content, folder) as path:
        yield Medium(parts=(_video(path.as_uri()),), settings=settings)


def _settings(frames: ClipFrames, policy: FramePolicy, geometry: PatchGeometry) -> dict[str, Any]:
    """What vLLM must be told so that it takes every frame as it is; others pass over it."""
    num_frames = len(frames.pixels_THWC)
    num_frames += -num_frames % geometry.temporal
    rate = float(rate_of(frames, policy))
    height, width = frames.pixels_THWC.shape[1:3]
    pixels = int(height * width)
    return {
        "media_io_kwargs": {"video": {"num_frames": -1, "fps": rate}},
        "mm_processor_kwargs": {
            "fps": rate,
            "do_sample_frames": False,
            "do_resize": False,
            "min_pixels": pixels,
            "max_pixels": pixels * num_frames,
        },
        "return_token_ids": True,
    }


def _video(url: str) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": url}}


def _image(picture: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}


@contextmanager
def _file(content: bytes, folder: Path) -> Iterator[Path]:
    """A file of these bytes that other users of the machine may read, gone afterwards."""
    descriptor, name = tempfile.mkstemp(prefix="kairoscope-", suffix=".mp4", dir=folder)
    path = Path(name).resolve()
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        path.chmod(0o644)
        yield path
    finally:
        path.unlink(missing_ok=True)
