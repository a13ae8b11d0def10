"""Jobs of `decode_to_input`: bare decoding, our route and its steps, Hugging Face's processor."""

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.harness import EXTRA_SITE, Facts, Job, Unavailable, cpu_seconds

REPEATS = 5
"""Clips in one job."""


def bare_decoding(clip: str, threads: str) -> Job:
    """PyAV hands out every frame as the decoder made it; nothing is converted.

    Args:
        clip: path.
        threads: `one`, `default` (as PyAV sets its decoder up) or `several`.
    """
    import av

    def job() -> Facts:
        for _ in range(REPEATS):
            with av.open(clip) as container:
                video = container.streams.video[0]
                if threads == "one":
                    video.codec_context.thread_count = 1
                elif threads == "several":
                    video.thread_type = "AUTO"
                num_frames = sum(1 for _ in container.decode(video=0))
        return {"frames": num_frames}

    return job


def ours(clip: str, stamp: str, *, builtin: bool = False, cut: bool = True) -> Job:
    """`load_frames` and `to_patches`.

    Args:
        clip: path.
        stamp: mode of the stamps.
        builtin: the built-in model's frames instead of the recipe's 8 fps and 8192 vision tokens.
        cut: whether this machine cuts the frames into patches. Where the model is on an accelerator
            it does not: bytes go there, a quarter of the floats, and are cut there.
    """
    from kairoscope.core import FramePolicy
    from kairoscope.models.names import builtin_folder
    from kairoscope.video.frames import load_frames
    from kairoscope.video.patches import to_patches

    policy = FramePolicy()
    if builtin:
        notes = json.loads((builtin_folder() / "kairoscope.json").read_text())
        policy = FramePolicy(**notes["frames"])
    policy = replace(policy, stamp=stamp)  # type: ignore[arg-type]

    def job() -> Facts:
        for _ in range(REPEATS):
            frames = load_frames(clip, policy)
            if cut:
                patches, grid_thw = to_patches(frames.pixels_THWC)
        found = {"frames": len(frames.times_s)}
        return {**found, "rows": len(patches), "grid_thw": grid_thw} if cut else found

    return job


def stages(clip: str) -> Job:
    """What the steps of `ours` cost each, in the same order, and the least that its result costs."""
    import numpy as np
    from av.video.reformatter import VideoReformatter

    from kairoscope.core import FramePolicy
    from kairoscope.video import frames
    from kairoscope.video.clip import scan
    from kairoscope.video.decode import decode_frames
    from kairoscope.video.patches import to_patches

    loaded = frames.load_frames(clip, FramePolicy())
    height, width = loaded.pixels_THWC.shape[1:3]
    found = scan(clip)
    wanted = [found.packets.shown[index] for index in loaded.indices]
    decoded = [frame for _, frame in decode_frames(found, wanted)]
    reformatter = VideoReformatter()
    turn = found.info.rotation_deg
    rgb = [frames._rgb(frame, reformatter, turn) for frame in decoded]
    size = to_patches(loaded.pixels_THWC)[0].numel()

    def resized() -> None:
        for picture in rgb:
            frames._resized(picture, height, width)

    def converted() -> None:
        for frame in decoded:
            frames._rgb(frame, reformatter, turn)

    steps: dict[str, Callable[[], object]] = {
        "reading the container": lambda: scan(clip),
        "decoding what is needed": lambda: sum(1 for _ in decode_frames(found, wanted)),
        "to RGB": converted,
        "resizing": resized,
        "cutting into patches": lambda: to_patches(loaded.pixels_THWC),
        "writing as many numbers, without any work": lambda: np.full(size, 1, np.float32),
    }

    def job() -> Facts:
        taken = {}
        for name, step in steps.items():
            started = cpu_seconds()
            for _ in range(REPEATS):
                step()
            taken[name] = (cpu_seconds() - started) / REPEATS
        return taken

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
