"""A checkpoint folder as vLLM wants it: with the files of the image and video processors.

A checkpoint that was trained here has none, because our own preprocessing does not need them. vLLM asks
for them even where it is given frames that are ready.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kairoscope.models.chat import Encoder, Family

FILES = ("preprocessor_config.json", "video_preprocessor_config.json")
PROCESSORS: Mapping[Family, tuple[str, str, str]] = {
    "qwen2_5_vl": ("Qwen2_5_VLProcessor", "Qwen2VLImageProcessor", "Qwen2VLVideoProcessor"),
    "qwen3_vl": ("Qwen3VLProcessor", "Qwen2VLImageProcessor", "Qwen3VLVideoProcessor"),
}
MOST_PIXELS = 100_000_000
"""Of a video: no limit, because the frames have been made to a budget before."""


def has_processor(folder: Path) -> bool:
    """Whether vLLM can load this folder as it is."""
    return all((folder / name).is_file() for name in FILES)


def processor_files(encoder: Encoder) -> dict[str, dict[str, Any]]:
    """File name -> contents, for the patches and colours of our own preprocessing."""
    geometry = encoder.geometry
    processor, image, video = PROCESSORS[encoder.family]
    common = {
        "processor_class": processor,
        "patch_size": geometry.patch_px,
        "temporal_patch_size": geometry.temporal,
        "merge_size": geometry.merge,
        "image_mean": list(geometry.mean),
        "image_std": list(geometry.std),
        "size": {"shortest_edge": geometry.unit_px**2, "longest_edge": MOST_PIXELS},
    }
    return {
        FILES[0]: {**common, "image_processor_type": image},
        FILES[1]: {**common, "video_processor_type": video, "do_sample_frames": False},
    }


def with_processor(source: Path, encoder: Encoder, into: Path) -> Path:
    """A folder that vLLM can load: `source` itself, or links to its files and the ones it lacks.

    Args:
        source: checkpoint folder.
        encoder: of this checkpoint.
        into: folder for the links; made if need be.
    """
    if has_processor(source):
        return source
    into.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        (into / file.name).symlink_to(file.resolve())
    for name, contents in processor_files(encoder).items():
        if not (into / name).exists():
            (into / name).write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
    return into
