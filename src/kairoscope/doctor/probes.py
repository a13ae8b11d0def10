"""The clip and the questions that an engine is tried with."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from kairoscope.core import FramePolicy, Prompt, Request, Sampling, Slot, Template

SECONDS, RATE = 4, 16
SLOWER_FPS, FASTER_FPS = 2.0, 4.0
SYSTEM = "Say when."
STRANGE: Template = ("zq-", Slot(name="number", choices=("17.31", "40.66", "88.02")), "-qz")
"""What no model writes unless it must."""
CASTS: Template = tuple(
    part
    for i in range(8)
    for part in (" " if i else "", Slot(name=f"digit {i}", choices=tuple("0123456789")))
)
"""Eight digits: four draws at temperature 1 are hardly ever all the same."""
DIGITS = "1234567890"


def write_probe(path: Path) -> Path:
    """A bright square that crosses a dark picture in four seconds, 16 frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(SECONDS * RATE):
            picture = np.full((240, 320, 3), 40, dtype=np.uint8)
            left = number * 4
            picture[100:140, left : left + 40] = (230, 200, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def question(
    name: str,
    video: Path,
    policy: FramePolicy,
    template: Template | None = None,
    *,
    after: str = "When does it move?",
) -> Request:
    """One question about the clip."""
    return Request(
        id=f"doctor/{name}",
        video=video,
        prompt=Prompt(system=SYSTEM, before="Event 1: it moves", after=after),
        policy=policy,
        template=None if template is None else lambda _: template,
    )


ONE_TOKEN = Sampling(max_new_tokens=1)
