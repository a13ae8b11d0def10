"""How large training samples are, from the headers of their clips: nothing is decoded."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tokenizers import Tokenizer

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Prompt, Sample, Task, UnreadableClip
from kairoscope.recipes.stages import Progress
from kairoscope.train.rehearsal import Shape
from kairoscope.video.budget import frame_report
from kairoscope.video.sampling import QWEN3_GEOMETRY, PatchGeometry

MOST_CLIPS = 400
"""Of a larger data set, as many clips are looked at, evenly spread."""
CHARACTERS_A_TOKEN = 3.5
"""Where there is no tokenizer to ask."""
BEFORE, BETWEEN, AFTER = (
    "<|im_start|>system\n",
    "<|im_end|>\n<|im_start|>user\n",
    "<|im_end|>\n<|im_start|>assistant\n",
)
VIDEO = "<|vision_start|><|vision_end|>"
"""Around the places of the video, which are not counted with the text."""


def token_counter(folder: Path) -> Callable[[str], int]:
    """Counts the tokens of a text: exactly where the tokenizer is there, else about."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        return lambda text: math.ceil(len(text) / CHARACTERS_A_TOKEN)
    tokenizer = Tokenizer.from_file(str(file))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def measured(
    task: Task[Any, Any],
    samples: Sequence[Sample[Any, Any]],
    policy: FramePolicy,
    geometry: PatchGeometry,
    count: Callable[[str], int],
    max_tokens: int,
    on_progress: Progress,
) -> tuple[list[Shape], tuple[str, ...]]:
    """Sizes of samples, from the headers of their clips, and those that cannot be trained on."""
    step = max(1, math.ceil(len(samples) / MOST_CLIPS))
    chosen = samples[::step]
    shapes: list[Shape] = []
    unusable: list[str] = []
    for done, sample in enumerate(chosen, 1):
        on_progress("measuring clips", done, len(chosen))
        try:
            seen = frame_report(sample.video, policy, geometry)
            answer = task.render(sample.query, task.snap(sample.gold, seen.times_s))
        except (UnreadableClip, ValueError) as error:
            unusable.append(f"{sample.id}: {error}")
            continue
        frames = -(-len(seen.times_s) // geometry.temporal)
        shape = Shape(
            grid_thw=(frames, seen.height // geometry.patch_px, seen.width // geometry.patch_px),
            num_text=count(_prompt(task.prompt(sample.query), seen.times_s, geometry)),
            num_answer=count(answer) + 1,
        )
        if shape.num_tokens(geometry.merge) > max_tokens:
            unusable.append(f"{sample.id}: {shape.num_tokens(geometry.merge)} tokens")
            continue
        shapes.append(shape)
    return shapes, tuple(unusable)


def _prompt(asked: Prompt, times_s: Sequence[float], geometry: PatchGeometry) -> str:
    """The text of a prompt as `models.chat.encode` writes it; Qwen3-VL has a time at each patch."""
    video = VIDEO
    if geometry == QWEN3_GEOMETRY:
        starts = range(0, len(times_s), geometry.temporal)
        pairs = [times_s[start : start + geometry.temporal] for start in starts]
        video = "".join(f"<{fmean(pair):.1f} seconds>{VIDEO}" for pair in pairs)
    return f"{BEFORE}{asked.system}{BETWEEN}{asked.before}{video}{asked.after}{AFTER}"


def largest_micro_batch(
    shapes: Sequence[Shape], config: SFTConfig, devices: int, merge: int
) -> tuple[list[Shape], int]:
    """The samples of the largest micro-batch that may come, and the micro-batches of a step."""
    share = math.ceil(config.batch_size / devices)
    by_length = sorted(shapes, key=lambda s: s.num_tokens(merge), reverse=True)
    if not config.packing:
        size = min(config.micro_batch_size, share)
        repeated = (by_length * math.ceil(size / len(by_length)))[:size]
        return repeated, math.ceil(share / size)
    pack, room = [by_length[0]], config.pack_tokens - by_length[0].num_tokens(merge)
    mean = fmean(s.num_tokens(merge) for s in shapes)
    for shape in (by_length * share)[1:share]:
        if shape.num_tokens(merge) <= room:
            pack.append(shape)
            room -= shape.num_tokens(merge)
    return pack, max(1, math.ceil(share * mean / config.pack_tokens))


def picture_bytes(shape: Shape, geometry: PatchGeometry) -> int:
    """Bytes of a clip's decoded pictures."""
    frames, rows, columns = shape.grid_thw
    return frames * geometry.temporal * rows * columns * geometry.patch_px**2 * 3
