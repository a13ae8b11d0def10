"""The older scripts' way of stamping a file, written for comparison from its description.

OpenCV reads every frame, PIL draws the time on it, OpenCV writes an mp4v file, and x264 encodes that a
second time so that players and decoders take it. Which time belongs to a frame is its number divided
by the average frame rate.
"""

from pathlib import Path

import numpy as np

from benchmarks.clips import encode_x264
from benchmarks.harness import Facts, Job, Unavailable

SECOND_PRESET, CRF = "medium", 23
"""Of the second encoding."""
STAMP_HEIGHT = 0.12
"""Digits as a share of the frame's height, as ours."""


def older_way(clip: str, target: str) -> Job:
    """OpenCV, PIL, mp4v, and x264 after that."""
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise Unavailable("pip install opencv-python-headless") from error
    from PIL import Image, ImageDraw, ImageFont

    def job() -> Facts:
        between = Path(target).with_suffix(".between.mp4")
        capture = cv2.VideoCapture(clip)
        fps = capture.get(cv2.CAP_PROP_FPS)
        size = tuple(
            int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        writer = cv2.VideoWriter(str(between), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
        # A capital is about 0.73 of the nominal size: digits as high as ours.
        font = ImageFont.load_default(max(8.0, STAMP_HEIGHT * size[1] / 0.73))
        index = 0
        while True:
            good, bgr = capture.read()
            if not good:
                break
            picture = Image.fromarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            pen = ImageDraw.Draw(picture)
            text = f"{index / fps:.2f}s"
            left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
            x, y = (size[0] - (right - left)) / 2, size[1] - (bottom - top) * 1.3
            box = (x - 8, y - 4, x + right - left + 8, size[1])
            pen.rectangle(box, fill=(0, 0, 0))
            pen.text((x - left, y - top), text, fill=(255, 255, 255), font=font)
            writer.write(cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2BGR))
            index += 1
        capture.release()
        writer.release()
        encode_x264(between, Path(target), SECOND_PRESET, CRF)
        between.unlink()
        return {"bytes": Path(target).stat().st_size}

    return job
