"""What this machine can do: versions, devices, decoders."""

import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from kairoscope.core import FramePolicy
from kairoscope.doctor.finding import Finding
from kairoscope.video.frames import load_frames

PACKAGES = ("kairoscope", "torch", "transformers", "peft", "accelerate", "datasets", "av", "numpy")
DECODERS = ("h264", "hevc", "libdav1d", "vp9")


def machine() -> Iterator[Finding]:
    """Versions and devices."""
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    for package in PACKAGES:
        try:
            yield Finding(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, "not installed", good=False)
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            memory = properties.total_memory / 2**30
            yield Finding(f"cuda:{index}", f"{properties.name}, {memory:.0f} GiB", good=True)
    else:
        yield Finding("GPU", "none; everything runs on the CPU")
    yield Finding("CPU", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads for torch")


def video() -> Iterator[Finding]:
    """Decoders, and a small clip written, stamped and read again."""
    codecs = av.codecs_available
    for name in DECODERS:
        has = name in codecs
        yield Finding(f"decoder {name}", "available" if has else "missing", good=has)
    has = "libx264" in codecs
    yield Finding("encoder libx264", "available" if has else "missing (no stamping)", good=has)
    if not has:
        return
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        expected = write_clip(clip)
        times = load_frames(clip, FramePolicy(fps=30, stamp="none")).times_s
    exact = np.allclose(times, expected, atol=1e-3) if len(times) == len(expected) else False
    yield Finding(
        "frame times", f"{len(times)} frames of a clip of variable rate, as written", good=exact
    )


def write_clip(path: Path) -> list[float]:
    """A clip of noise with uneven frame times; returns them in s."""
    times = [0, 33, 67, 167, 200, 233, 433, 467, 500, 567]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        noise = np.random.default_rng(0)
        for tick in times:
            pixels = noise.integers(0, 255, (96, 128, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return [tick / 1000 for tick in times]
