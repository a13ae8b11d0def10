"""Time stamps: into files and at load time, beside the older scripts' way.

The older way, from its description: OpenCV reads every frame, PIL draws the time on it, OpenCV writes
an mp4v file, and x264 encodes that a second time so that players and decoders take it. Which time
belongs to a frame is its number divided by the average frame rate. Written for this comparison.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import clips_for
from benchmarks.harness import (
    Facts,
    Job,
    Runs,
    Spread,
    Unavailable,
    Way,
    interleaved,
    measure,
    pairwise_ratios,
    spread,
)
from benchmarks.results import (
    Goal,
    Result,
    Table,
    announce,
    arguments,
    cost_table,
    missing_notes,
    number,
    span,
    write,
)

PRESET, CRF = "medium", 23
"""Of the older way's second encoding and of the comparison at equal settings."""
STAMP_HEIGHT = 0.12
CLEAR_OF_STAMPS = 0.75
"""Share of the height, from the top, that no way stamps: where quality is compared."""
LOADS = 10
"""Loads of the clip in one job: drawing alone takes a few milliseconds."""


def stamp_to_file(clip: str, target: str, preset: str) -> Job:
    """`kairoscope stamp`, as the command does it."""
    from kairoscope.video.stampfile import stamp_file

    def job() -> Facts:
        stamp_file(Path(clip), Path(target), preset=preset, crf=CRF)
        return {"bytes": Path(target).stat().st_size}

    Path(target).unlink(missing_ok=True)  # a finished target would be left alone
    return job


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
        _encode_again(between, Path(target))
        between.unlink()
        return {"bytes": Path(target).stat().st_size}

    return job


def _encode_again(source: Path, target: Path) -> None:
    """As `ffmpeg -i SOURCE -c:v libx264 -preset medium -crf 23 -pix_fmt yuv420p TARGET` does."""
    import av

    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        video = given.streams.video[0]
        video.thread_type = "AUTO"
        rate = Fraction(video.average_rate or 30)
        encoder = output.add_stream("libx264", rate=rate)
        encoder.width, encoder.height = video.width, video.height
        encoder.pix_fmt = "yuv420p"
        encoder.options = {"preset": PRESET, "crf": str(CRF)}
        for frame in given.decode(video):
            frame.pict_type = av.video.frame.PictureType.NONE
            output.mux(encoder.encode(frame))
        output.mux(encoder.encode(None))


def load(clip: str, *, stamped: bool) -> Job:
    """`load_frames` with the recipe's policy, with and without its stamps."""
    from kairoscope.core import FramePolicy
    from kairoscope.video.frames import load_frames

    policy = FramePolicy()
    policy = policy if stamped else replace(policy, stamp="none")

    def job() -> Facts:
        for _ in range(LOADS):
            frames = load_frames(clip, policy)
        return {"frames": len(frames.times_s)}

    return job


def likeness(clip: str, files: dict[str, str]) -> Job:
    """Luma PSNR of each file against the clip, above the stamps; how well the picture survived."""

    def job() -> Facts:
        return {key: _psnr_db(clip, file) for key, file in files.items() if Path(file).exists()}

    return job


def _psnr_db(clip: str, file: str) -> float:
    squared, count = 0.0, 0
    for before, after in zip(_luma(clip), _luma(file), strict=True):
        rows = int(before.shape[0] * CLEAR_OF_STAMPS)
        error = before[:rows].astype(np.float64) - after[:rows]
        squared += float((error**2).sum())
        count += error.size
    return 10 * float(np.log10(255**2 * count / squared)) if squared else float("inf")


def _luma(file: str) -> Iterator[NDArray[np.uint8]]:
    import av

    with av.open(file) as container:
        for frame in container.decode(video=0):
            plane = frame.planes[0]
            lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            yield lines[: plane.height, : plane.width]


def measured(clip: str, folder: Path, rounds: int, *, fresh: bool) -> tuple[Runs, dict[str, float]]:
    """All ways in turns, and the PSNR in dB of what they wrote."""
    module = "benchmarks.stamping"
    targets = {key: str(folder / f"{key}.mp4") for key in ("older", "medium", "veryfast")}
    stamp = f"{module}:stamp_to_file"
    ways = [
        Way(
            key="older",
            title="older scripts' way",
            function=f"{module}:older_way",
            arguments={"clip": clip, "target": targets["older"]},
        ),
        *(
            Way(
                key=preset,
                title=f"`stamp`, {preset} crf {CRF}{' (our default)' * (preset == 'veryfast')}",
                function=stamp,
                arguments={"clip": clip, "target": targets[preset], "preset": preset},
            )
            for preset in ("medium", "veryfast")
        ),
        *(
            Way(
                key=key,
                title=title,
                function=f"{module}:load",
                arguments={"clip": clip, "stamped": stamped},
                warmups=1,
                units=LOADS,
            )
            for key, title, stamped in (
                ("load_plain", "loading, no stamps", False),
                ("load_stamped", "loading, stamps drawn at load time", True),
            )
        ),
    ]
    runs = interleaved(ways, rounds, announce, fresh=fresh)
    judge = Way(
        key="likeness",
        title="likeness",
        function=f"{module}:likeness",
        arguments={"clip": clip, "files": targets},
    )
    return runs, dict(measure(judge, fresh=fresh).facts)


def drawing(runs: Runs) -> list[float]:
    """CPU seconds a clip that drawing at load time adds, round by round; never below 0.1 ms."""
    pairs = zip(
        runs.values("load_stamped", "cpu_s"), runs.values("load_plain", "cpu_s"), strict=True
    )
    return [max(stamped - plain, 1e-4) for stamped, plain in pairs]


def result(runs: Runs, psnr_db: dict[str, float], source_bytes: int) -> Result:
    """Tables and goals."""
    default = runs.ratio("veryfast", "older")
    at_load: Spread | None = None
    if "older" not in runs.unavailable:
        at_load = pairwise_ratios(drawing(runs), runs.values("older", "cpu_s"))
    files = [key for key in ("older", "medium", "veryfast") if key not in runs.unavailable]
    titles = {way.key: way.title for way in runs.ways}
    quality = tuple(
        (
            titles[key],
            number(psnr_db[key]),
            number(runs.spread(key, "bytes").median / 1e6),
            number(runs.spread(key, "bytes").median / source_bytes),
        )
        for key in files
    )
    return Result(
        name="stamping",
        title="Time stamps on a 10 s clip, 512 x 512, 30 fps",
        what=(
            "A simulated demonstration gets the time on its frames. The older scripts' way: OpenCV "
            "decodes, PIL draws on every frame, OpenCV writes mp4v, x264 (medium, crf 23) encodes "
            "again. Ours into a file: one pass on the decoded luma, x264 at the same preset and at "
            "our default. Ours at load time: no file at all, labels are drawn on the sampled frames "
            f"(the recipe's policy: 8 fps, 8192 vision tokens); a job is {LOADS} loads."
        ),
        tables=(
            cost_table("Cost of a clip", runs, "older", "clip"),
            Table(
                title="Drawing alone, at load time",
                columns=("figure", "median (least to greatest)"),
                rows=(
                    (
                        "CPU s per clip: loading with stamps minus without",
                        span(spread(drawing(runs))),
                    ),
                    ("ratio to the older scripts' way", span(at_load)),
                ),
            ),
            Table(
                title="What is left of the picture (luma PSNR above the stamps), file size",
                columns=("way", "PSNR dB", "MB", "size, ratio to the source"),
                rows=(*quality, ("at load time", "lossless", "0", "0")),
            ),
        ),
        goals=(
            Goal(
                text="stamping a file at our default: CPU time, ratio to the older way",
                limit=1 / 3,
                value=default.median if default else None,
            ),
            Goal(
                text="stamping at load time: CPU time, ratio to the older way",
                limit=1 / 15,
                value=at_load.median if at_load else None,
            ),
        ),
        notes=missing_notes(runs),
        data={**runs.to_json(), "psnr_db": psnr_db, "source_bytes": source_bytes},
        packages=("opencv-python-headless",),
    )


def main(argv: list[str]) -> None:
    """Measure and write."""
    options = arguments("stamping", __doc__, argv)
    clip = clips_for(1, 512, smoke=options.smoke)[0].path
    with tempfile.TemporaryDirectory(prefix="stamping-") as folder:
        runs, psnr_db = measured(clip, Path(folder), options.rounds, fresh=not options.smoke)
    write(result(runs, psnr_db, Path(clip).stat().st_size), options)


if __name__ == "__main__":
    main(sys.argv[1:])
