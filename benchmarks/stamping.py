"""Time stamps: into files and at load time, beside the older scripts' way."""

import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from inspect import signature
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import clips_for
from benchmarks.harness import (
    Facts,
    Job,
    Runs,
    Spread,
    Way,
    cpu_seconds,
    interleaved,
    measure,
    pairwise_ratios,
)
from benchmarks.older_stamping import CRF
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

OURS: dict[str, tuple[str, str | None]] = {
    "medium": ("`stamp`, x264 medium, crf 23", "medium"),
    "veryfast": ("`stamp`, x264 veryfast, crf 23", "veryfast"),
    "default": ("`stamp`, our default", None),
}
"""Key -> title and preset."""
CLEAR_OF_STAMPS = 0.75
"""Share of the height, from the top, that no way stamps: where quality is compared."""
PAIRS = 20
"""Loads with and without stamps that are compared: drawing takes a few milliseconds."""
LOADS = 5
"""Loads of the clip in one job."""


def stamp_to_file(clip: str, target: str, preset: str | None) -> Job:
    """`kairoscope stamp`, as the command does it; without a preset at its default."""
    from kairoscope.video.stampfile import stamp_file

    chosen = preset or str(signature(stamp_file).parameters["preset"].default)

    def job() -> Facts:
        stamp_file(Path(clip), Path(target), preset=chosen, crf=CRF)
        return {"bytes": Path(target).stat().st_size, "preset": chosen}

    Path(target).unlink(missing_ok=True)  # a finished target would be left alone
    return job


def load(clip: str, *, stamped: bool, loads: int = LOADS) -> Job:
    """`load_frames` with the recipe's policy, with and without its stamps."""
    from kairoscope.core import FramePolicy
    from kairoscope.video.frames import load_frames

    policy = FramePolicy()
    policy = policy if stamped else replace(policy, stamp="none")

    def job() -> Facts:
        for _ in range(loads):
            frames = load_frames(clip, policy)
        return {"frames": len(frames.times_s)}

    return job


def drawing(clip: str) -> Job:
    """What the stamps add to a load: pairs of loads in turns, so that little else differs."""
    plain, stamped = (load(clip, stamped=stamped, loads=1) for stamped in (False, True))

    def job() -> Facts:
        added_s = []
        for _ in range(PAIRS):
            start_s = cpu_seconds()
            plain()
            middle_s = cpu_seconds()
            stamped()
            added_s.append(cpu_seconds() - middle_s - (middle_s - start_s))
        return {"drawing_cpu_s": statistics.median(added_s)}

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
    targets = {key: str(folder / f"{key}.mp4") for key in ("older", *OURS)}
    ways = [
        Way(
            key="older",
            title="older scripts' way",
            function="benchmarks.older_stamping:older_way",
            arguments={"clip": clip, "target": targets["older"]},
        ),
        *(
            Way(
                key=key,
                title=title,
                function=f"{module}:stamp_to_file",
                arguments={"clip": clip, "target": targets[key], "preset": preset},
            )
            for key, (title, preset) in OURS.items()
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
    ways.append(
        Way(
            key="drawing",
            title="drawing alone",
            function=f"{module}:drawing",
            arguments={"clip": clip},
            warmups=1,
        )
    )
    runs = interleaved(ways, rounds, announce, fresh=fresh)
    judge = Way(
        key="likeness",
        title="likeness",
        function=f"{module}:likeness",
        arguments={"clip": clip, "files": targets},
    )
    return runs, dict(measure(judge, fresh=fresh).facts)


def result(runs: Runs, psnr_db: dict[str, float], source_bytes: int) -> Result:
    """Tables and goals."""
    default = runs.ratio("default", "older")
    default_preset = runs.measured["default"][0].facts["preset"]
    at_load: Spread | None = None
    if "older" not in runs.unavailable:
        at_load = pairwise_ratios(
            runs.values("drawing", "drawing_cpu_s"), runs.values("older", "cpu_s")
        )
    whole = Runs(runs.ways[:-1], runs.measured, runs.unavailable)  # all but drawing alone
    files = [key for key in ("older", *OURS) if key not in runs.unavailable]
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
            f"our default ({default_preset}, crf 23). Ours at load time: no file at all, labels are "
            "drawn on the sampled frames "
            f"(the recipe's policy: 8 fps, 8192 vision tokens); a job is {LOADS} loads."
        ),
        tables=(
            cost_table("Cost of a clip", whole, "older", "clip"),
            Table(
                title="Drawing alone, at load time",
                columns=("figure", "median (least to greatest)"),
                rows=(
                    (
                        "CPU s per clip: loading with stamps minus without, in pairs",
                        span(runs.spread("drawing", "drawing_cpu_s")),
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
