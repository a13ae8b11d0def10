"""From a clip on disk to what a vision tower takes, beside bare decoding and Hugging Face's processor."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.clips import as_usually_encoded, clips_for
from benchmarks.harness import EXTRA_SITE, Facts, Job, Runs, Unavailable, Way, interleaved, measure
from benchmarks.results import (
    Goal,
    Result,
    Table,
    announce,
    arguments,
    cost_table,
    missing_notes,
    write,
)

LIMIT = 1.4
REPEATS = 5
"""Clips in one job."""


def bare_decoding(clip: str, threads: str) -> Job:
    """PyAV hands out every frame as the decoder made it; nothing is converted."""
    import av

    def job() -> Facts:
        for _ in range(REPEATS):
            with av.open(clip) as container:
                container.streams.video[0].thread_type = threads
                num_frames = sum(1 for _ in container.decode(video=0))
        return {"frames": num_frames}

    return job


def ours(clip: str, stamp: str) -> Job:
    """`load_frames` and `to_patches` with the recipe's policy: 8 fps, 8192 vision tokens."""
    from kairoscope.core import FramePolicy
    from kairoscope.video.frames import load_frames
    from kairoscope.video.patches import to_patches

    policy = replace(FramePolicy(), stamp=stamp)  # type: ignore[arg-type]

    def job() -> Facts:
        for _ in range(REPEATS):
            frames = load_frames(clip, policy)
            patches, grid_thw = to_patches(frames.pixels_THWC)
        return {"frames": len(frames.times_s), "rows": len(patches), "grid_thw": grid_thw}

    return job


def hugging_face(clip: str, *, sample_first: bool) -> Job:
    """The video processor of Qwen2-VL and Qwen2.5-VL at the same frames and the same size.

    Args:
        clip: path.
        sample_first: decode through `load_video`, which converts the sampled frames only; otherwise
            every frame becomes an array and the processor samples from these.
    """
    processor, options = _processor(clip)

    def job() -> Facts:
        for _ in range(REPEATS):
            given = _sampled(clip, processor) if sample_first else _all_frames(clip)
            made = processor(**given, **options, return_tensors="pt")
        rows = made["pixel_values_videos"]
        version = sys.modules["torchvision"].__version__
        grid_thw = made["video_grid_thw"][0].tolist()
        return {"rows": len(rows), "grid_thw": grid_thw, "torchvision": version}

    return job


def _processor(clip: str) -> tuple[Any, dict[str, Any]]:
    """The processor, and the size that the recipe's budget gives this clip."""
    from kairoscope.core import FramePolicy
    from kairoscope.video.budget import frame_report

    processor = _processor_class()()
    policy = FramePolicy()
    share = policy.total_pixels * 2 // len(frame_report(clip, policy).times_s)
    size = {
        "shortest_edge": policy.min_frame_pixels,
        "longest_edge": min(share, policy.max_frame_pixels),
    }
    processor.fps = policy.fps
    return processor, {"size": size}


def _processor_class() -> Any:
    """Needs torchvision at its import, of which it uses functions that are plain torch.

    Where no build of torchvision belongs to the installed torch, its compiled operators do not load.
    The import only asks for two of them; declaring those is enough.
    """
    sys.path.append(str(EXTRA_SITE))
    import torch

    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        how = "pip install --no-deps --target build/benchmarks/site torchvision==0.28.*"
        raise Unavailable(
            f"torchvision is not installed; for this benchmark alone: {how}"
        ) from error
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module("torchvision").__dict__["declared"] = library  # lives as long
    from transformers import Qwen2VLVideoProcessor

    return Qwen2VLVideoProcessor


def _all_frames(clip: str) -> dict[str, Any]:
    import av
    import numpy as np
    from transformers.video_utils import VideoMetadata

    with av.open(clip) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        fps = float(stream.average_rate or 30)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    metadata = VideoMetadata(
        total_num_frames=len(frames), fps=fps, duration=len(frames) / fps, video_backend="pyav"
    )
    return {
        "videos": [np.stack(frames)],
        "video_metadata": [metadata],
        "do_sample_frames": True,
        "fps": 8.0,
    }


def _sampled(clip: str, processor: Any) -> dict[str, Any]:
    from transformers import video_utils

    load: Any = video_utils.load_video  # its annotations leave out paths, which it takes
    video, metadata = load(clip, backend="pyav", sample_indices_fn=processor.sample_frames)
    return {"videos": [video], "video_metadata": [metadata], "do_sample_frames": False}


def agreement(clip: str) -> Job:
    """Largest difference between our patches, unstamped, and the processor's."""
    from kairoscope.core import FramePolicy
    from kairoscope.video.frames import load_frames
    from kairoscope.video.patches import to_patches

    processor, options = _processor(clip)

    def job() -> Facts:
        patches, _ = to_patches(load_frames(clip, replace(FramePolicy(), stamp="none")).pixels_THWC)
        given = {"all frames": _all_frames(clip), "sampled": _sampled(clip, processor)}
        differences = {}
        for name, arguments_ in given.items():
            made = processor(**arguments_, **options, return_tensors="pt")["pixel_values_videos"]
            same_shape = made.shape == patches.shape
            differences[name] = float((made - patches).abs().max()) if same_shape else None
        return differences

    return job


def measured(clip: str, rounds: int, *, fresh: bool) -> tuple[Runs, Facts]:
    """All ways in turns, and how much their results differ."""
    module = "benchmarks.decode_to_input"
    rows: list[tuple[str, str, str, dict[str, Any]]] = [
        ("bare", "bare decoding of all frames", "bare_decoding", {"threads": "SLICE"}),
        ("bare_auto", "the same on several threads", "bare_decoding", {"threads": "AUTO"}),
        ("ours", "ours: model input with stamps", "ours", {"stamp": "pair"}),
        ("ours_plain", "ours: model input without stamps", "ours", {"stamp": "none"}),
        (
            "hf_all",
            "all frames to arrays, Hugging Face processor",
            "hugging_face",
            {"sample_first": False},
        ),
        (
            "hf_sampled",
            "`load_video` of the sampled frames, Hugging Face processor",
            "hugging_face",
            {"sample_first": True},
        ),
    ]
    ways = [
        Way(
            key=key,
            title=title,
            function=f"{module}:{function}",
            arguments={"clip": clip, **more},
            warmups=1,
            units=REPEATS,
        )
        for key, title, function, more in rows
    ]
    runs = interleaved(ways, rounds, announce, fresh=fresh)
    if "hf_all" in runs.unavailable:
        return runs, {}
    judge = Way(
        key="agreement",
        title="agreement",
        function=f"{module}:agreement",
        arguments={"clip": clip},
    )
    return runs, measure(judge, fresh=fresh).facts


def clip_tables(title: str, runs: Runs, differences: Facts) -> list[Table]:
    """Cost and likeness on one clip."""
    shape = runs.measured["ours"][0].facts
    grid = " x ".join(str(side) for side in shape["grid_thw"])
    size = f"{shape['frames']} frames, {grid} patches, {shape['rows'] // 4} vision tokens"
    tables = [cost_table(f"{title}: {size}", runs, "bare", "clip")]
    rows = tuple(
        (name, f"{value:.2g}" if value is not None else "other shape")
        for name, value in differences.items()
    )
    if rows:
        heading = f"{title}: ours, unstamped, against the processor's input"
        columns = ("decoded as", "largest difference of a value")
        tables.append(Table(title=heading, columns=columns, rows=rows))
    return tables


def clip_goals(title: str, runs: Runs) -> list[Goal]:
    """The same goal for CPU and wall time."""
    goals = []
    for figure, name, reference in (("cpu_s", "CPU", "bare"), ("wall_s", "wall", "bare_auto")):
        ratio = runs.ratio("ours", reference, figure)
        text = f"{name} time of decode to input, ratio to bare decoding of all frames: {title}"
        goals.append(Goal(text=text, limit=LIMIT, value=ratio.median if ratio else None))
    return goals


def result(by_title: dict[str, tuple[Runs, Facts]]) -> Result:
    """Tables and goals of all clips."""
    tables: list[Table] = []
    goals: list[Goal] = []
    notes: list[str] = []
    data: dict[str, Any] = {}
    for title, (runs, differences) in by_title.items():
        tables += clip_tables(title, runs, differences)
        goals += clip_goals(title, runs)
        notes += missing_notes(runs)
        data[title] = {**runs.to_json(), "largest_difference": dict(differences)}
    return Result(
        name="decode_to_input",
        title="From a clip of ten seconds to model input",
        what=(
            "Sampled at 8 fps, resized to the recipe's budget of 8192 vision tokens. Bare decoding "
            "hands out all frames as they come from the decoder, on one thread (the least CPU time) "
            "and on several (the least wall time); nothing is converted. Ours decodes what it needs, "
            "resizes, stamps and cuts into patches. The processor's routes give it the same frames "
            "and the same size, without stamps; both use PyAV. A job is "
            f"{REPEATS} clips, after one uncounted job. How much bare decoding costs depends on the "
            "pictures; turning 80 of them into patches does not."
        ),
        tables=tuple(tables),
        goals=tuple(goals),
        notes=tuple(dict.fromkeys(notes)),
        data={"clips": data},
    )


def main(argv: list[str]) -> None:
    """Measure and write."""
    given: dict[str, Any] = {
        "action": "append",
        "default": [],
        "help": "a further clip; repeatable",
    }
    options = arguments("decode_to_input", __doc__, argv, clip=given)
    clip = clips_for(1, 512, smoke=options.smoke)[0]
    clips = {"simulated, 512 x 512, as our simulator writes it": clip.path}
    if not options.smoke:
        usual = as_usually_encoded(clip)
        clips["the same pictures, x264 at its defaults (B-frames)"] = usual.path
    clips |= {f"given clip {Path(path).name}": path for path in options.clip}
    fresh = not options.smoke
    write(
        result(
            {title: measured(path, options.rounds, fresh=fresh) for title, path in clips.items()}
        ),
        options,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
