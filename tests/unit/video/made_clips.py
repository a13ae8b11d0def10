"""Small clips made on the spot. Every frame carries its number, readable from its pixels."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BITS = 8
BLOCK_PX = 10
MakeClip = Callable[..., Path]


def numbered_picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """RGB with `number` as black and white blocks at the top left, on a moving gradient."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([(x * 2 + number * 3) % 200, (y * 2 + number) % 200, (x + y) % 200], axis=2)
    for bit in range(BITS):
        left = bit * BLOCK_PX
        picture[: 2 * BLOCK_PX, left : left + BLOCK_PX] = 255 if number >> bit & 1 else 0
    return picture.astype(np.uint8)


def read_number(picture: Any, size: tuple[int, int] | None = None) -> int:
    """Undo `numbered_picture` for (H, W, 3), whatever codec lay between.

    `size` (width, height): before a change of size.
    """
    pixels = np.asarray(picture)
    width, height = size or (pixels.shape[1], pixels.shape[0])
    across, down = pixels.shape[1] / width, pixels.shape[0] / height
    rows = pixels[round(6 * down) : round(14 * down)]
    number = 0
    for bit in range(BITS):
        left, right = bit * BLOCK_PX + 3, (bit + 1) * BLOCK_PX - 3
        block = rows[:, round(left * across) : round(right * across)]
        number |= int(block.mean() > 127) << bit
    return number


def write_clip(
    path: Path,
    *,
    pts: Sequence[int] | None = None,
    num_frames: int = 30,
    fps: Fraction | int = 30,
    time_base: Fraction | None = None,
    size: tuple[int, int] = (128, 96),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    rotation_deg: int = 0,
    audio: str | None = None,
    shift: int = 0,
    muxing: dict[str, str] | None = None,
    plain: bool = False,
) -> Path:
    """Encode numbered frames at the given ticks; `shift` moves video packets in time.

    `plain`: frames of one colour, quickly made, where only numbers and sizes matter.
    """
    ticks = list(range(num_frames)) if pts is None else list(pts)
    time_base = time_base or 1 / Fraction(fps)
    with av.open(str(path.absolute()), "w", container_options=muxing or {}) as output:
        stream: Any = output.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = time_base
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        sound: Any = output.add_stream(audio, rate=16000) if audio else None
        black = np.zeros((size[1], size[0], 3), np.uint8)
        for number, tick in enumerate(ticks):
            picture = black if plain else numbered_picture(number, *size)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = tick, time_base
            _mux(output, stream.encode(frame), shift)
        _mux(output, stream.encode(None), shift)
        if sound is not None:
            _write_sound(output, sound, float((ticks[-1] + 1) * time_base))
    return path


def _mux(output: Any, packets: list[Any], shift: int) -> None:
    for packet in packets:
        packet.pts += shift
        packet.dts += shift
        output.mux(packet)


def _write_sound(output: Any, stream: Any, seconds: float) -> None:
    """A click train, so that a shift in time would be heard."""
    samples = np.zeros((1, int(16000 * seconds)), np.float32)
    samples[0, ::4000] = 0.9
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate = 16000
    resampler = av.AudioResampler(format=stream.format, layout=stream.layout, rate=16000)
    for piece in resampler.resample(frame):
        output.mux(stream.encode(piece))
    output.mux(stream.encode(None))
