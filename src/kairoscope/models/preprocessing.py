"""What other engines need beside a checkpoint: how pictures become patches.

The engine in this process needs neither file. vLLM and the processors of transformers do not load a
checkpoint without them; with them, a folder that `sft` wrote is served as it is. No frame is made
larger or smaller by them unless it must be: what is sent has the size that the policy gives it.
"""

from pathlib import Path
from typing import Any

from kairoscope.storage import write_json_atomic
from kairoscope.video.sampling import PatchGeometry

IMAGES, VIDEOS = "preprocessor_config.json", "video_preprocessor_config.json"
PROCESSORS = {
    "qwen2_5_vl": ("Qwen2VLImageProcessor", "Qwen2VLVideoProcessor", "Qwen2_5_VLProcessor"),
    "qwen3_vl": ("Qwen2VLImageProcessor", "Qwen3VLVideoProcessor", "Qwen3VLProcessor"),
}
MOST_PIXELS = 10**9
"""Of all frames of a video together: no bound."""
MOST_PICTURE_PIXELS = 12_845_056
"""Of a single picture, as in the released checkpoints. vLLM tries itself out at the start on videos of
pictures that are as large as these may be: without a bound that takes more memory than there is."""


def write_preprocessing(folder: Path, family: str, geometry: PatchGeometry) -> None:
    """Write both files into a checkpoint's folder.

    Args:
        folder: of the checkpoint.
        family: a key of `PROCESSORS`.
        geometry: of its patches.
    """
    images, videos, processor = PROCESSORS[family]
    common: dict[str, Any] = {
        "processor_class": processor,
        "patch_size": geometry.patch_px,
        "temporal_patch_size": geometry.temporal,
        "merge_size": geometry.merge,
        "image_mean": list(geometry.mean),
        "image_std": list(geometry.std),
    }
    smallest = {"shortest_edge": geometry.unit_px**2}
    pictures = {
        "image_processor_type": images,
        "size": {**smallest, "longest_edge": MOST_PICTURE_PIXELS},
    }
    frames = {
        "video_processor_type": videos,
        "size": {**smallest, "longest_edge": MOST_PIXELS},
        "do_sample_frames": False,
    }
    write_json_atomic(folder / IMAGES, {**common, **pictures})
    write_json_atomic(folder / VIDEOS, {**common, **frames})
