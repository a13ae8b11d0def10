"""From a prompt and the frames of a clip to token ids, positions and pixels.

This is the only place where a model's input is put together; training and inference both call
`encode`, so that they cannot differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal

import torch

from kairoscope.core import FramePolicy, Prompt, UserError
from kairoscope.models.positions import Span, TextSpan, VideoSpan, mrope_positions, temporal_ids
from kairoscope.video.patches import to_patches
from kairoscope.video.sampling import PatchGeometry

Family = Literal["qwen2_5_vl", "qwen3_vl"]
VIDEO_PAD = "<|video_pad|>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """What must be known of a checkpoint to write its input."""

    tokenizer: Any
    family: Family
    geometry: PatchGeometry
    tokens_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A prompt with its video, if there is one, ready for the network."""

    token_ids: tuple[int, ...]
    positions_3L: torch.Tensor
    next_position: int
    pixels_THWC: torch.Tensor
    """uint8 frames; a quarter of the size of the patches that are made of them."""
    grid_thw: tuple[int, int, int]
    """Patches in time, down and across."""
    num_vision_tokens: int
    vision_starts: tuple[int, ...]
    """Index in `token_ids` of the first vision token of each temporal patch."""
    tokens_per_patch: int
    """Vision tokens of one temporal patch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """Frames of one size, of one prompt after the other: a single video to the vision tower.

    It looks at each temporal patch alone, so videos one behind the other are seen as they are
    each by themselves, in one call instead of many.
    """

    pixels_THWC: torch.Tensor
    """uint8; T is a multiple of the frames of a temporal patch."""
    grid_thw: tuple[int, int, int]


def films(prompts: Sequence[Encoded], geometry: PatchGeometry) -> tuple[Film, ...]:
    """The frames of those prompts that have any; neighbours of one size are joined."""
    made: list[Film] = []
    filmed = (prompt for prompt in prompts if len(prompt.pixels_THWC))
    for size, alike in groupby(filmed, key=lambda prompt: prompt.grid_thw[1:]):
        pixels = [_whole_patches(prompt.pixels_THWC, geometry.temporal) for prompt in alike]
        joined = pixels[0] if len(pixels) == 1 else torch.cat(pixels)
        made.append(Film(pixels_THWC=joined, grid_thw=(len(joined) // geometry.temporal, *size)))
    return tuple(made)


def _whole_patches(pixels_THWC: torch.Tensor, temporal: int) -> torch.Tensor:
    """The frames, the last repeated until they fill temporal patches."""
    missing = -len(pixels_THWC) % temporal
    if not missing:
        return pixels_THWC
    return torch.cat([pixels_THWC, pixels_THWC[-1:].expand(missing, -1, -1, -1)])


def film_inputs(
    shown: Sequence[Film], geometry: PatchGeometry, device: torch.device | str
) -> dict[str, torch.Tensor]:
    """The network's arguments for the pixels of films; patches are cut on the device."""
    patches = [
        to_patches(film.pixels_THWC.to(device, non_blocking=True), geometry)[0] for film in shown
    ]
    return {
        "pixel_values_videos": patches[0] if len(patches) == 1 else torch.cat(patches),
        "video_grid_thw": torch.tensor([film.grid_thw for film in shown], device=device),
    }


def video_inputs(
    encoder: Encoder, prompts: Sequence[Encoded], device: torch.device | str
) -> dict[str, torch.Tensor]:
    """The network's arguments for the pixels of a batch of prompts; none where none has a video."""
    if not any(len(prompt.pixels_THWC) for prompt in prompts):
        return {}
    return film_inputs(films(prompts, encoder.geometry), encoder.geometry, device)


@lru_cache(maxsize=4096)
def _ids_of(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def text_ids(encoder: Encoder, text: str) -> tuple[int, ...]:
    """Token ids of a text, special tokens recognised."""
    return _ids_of(encoder.tokenizer, text)


def seconds_per_patch(times_s: tuple[float, ...], policy: FramePolicy, temporal: int) -> float:
    """Mean time between temporal patches in s: measured on the clip, or from the policy."""
    if len(times_s) < 2:
        return temporal / policy.fps
    return temporal * (times_s[-1] - times_s[0]) / (len(times_s) - 1)


class _Writer:
    """Tokens, position spans and places of the vision tokens, as they are written."""

    def __init__(self, encoder: Encoder, rows: int, columns: int) -> None:
        self.encoder = encoder
        self.rows, self.columns = rows, columns
        self.pad = text_ids(encoder, VIDEO_PAD)
        self.ids: list[int] = []
        self.spans: list[Span] = []
        self.starts: list[int] = []

    def text(self, part: str) -> None:
        token_ids = text_ids(self.encoder, part)
        if self.pad[0] in token_ids:
            raise UserError(f"the prompt holds {VIDEO_PAD}, which stands for the video itself")
        self.ids.extend(token_ids)
        self.spans.append(TextSpan(len(token_ids)))

    def video(self, patch_ids: tuple[int, ...]) -> None:
        for _ in patch_ids:
            self.starts.append(len(self.ids))
            self.ids.extend(self.pad * (self.rows * self.columns))
        self.spans.append(VideoSpan(patch_ids, self.rows, self.columns))


def around_the_video(prompt: Prompt) -> tuple[str, str]:
    """The turns of a conversation up to the video, and from there on."""
    head = f"<|im_start|>system\n{prompt.system}<|im_end|>\n<|im_start|>user\n{prompt.before}"
    return head, f"{prompt.after}<|im_end|>\n<|im_start|>assistant\n"


def encode(
    encoder: Encoder,
    prompt: Prompt,
    pixels_THWC: torch.Tensor,
    times_s: tuple[float, ...],
    policy: FramePolicy,
) -> Encoded:
    """Put a prompt and the (already resized and stamped) frames of a clip together.

    Args:
        encoder: the checkpoint's tokenizer, family and patch geometry.
        prompt: what is asked. Raises UserError where it holds the token that stands for video.
        pixels_THWC: uint8 frames, sides multiples of the patch unit; none where there is no video.
        times_s: presentation time of each frame.
        policy: for the clock of the temporal positions.
    """
    geometry = encoder.geometry
    num_frames, height, width, _ = pixels_THWC.shape
    num_patches = -(-num_frames // geometry.temporal)
    grid_thw = (num_patches, height // geometry.patch_px, width // geometry.patch_px)
    writer = _Writer(encoder, grid_thw[1] // geometry.merge, grid_thw[2] // geometry.merge)
    head, tail = around_the_video(prompt)
    if not num_frames:
        writer.text(head + tail)
    elif encoder.family == "qwen2_5_vl":
        patch_ids = temporal_ids(
            num_patches,
            seconds_per_patch=seconds_per_patch(times_s, policy, geometry.temporal),
            tokens_per_second=encoder.tokens_per_second,
            clock_scale=policy.clock_scale,
        )
        writer.text(f"{head}<|vision_start|>")
        writer.video(patch_ids)
        writer.text(f"<|vision_end|>{tail}")
    else:
        between = head
        for k in range(num_patches):
            pair = times_s[k * geometry.temporal : (k + 1) * geometry.temporal]
            writer.text(f"{between}<{sum(pair) / len(pair):.1f} seconds><|vision_start|>")
            writer.video((0,))
            between = "<|vision_end|>"
        writer.text(between + tail)
    positions, next_position = mrope_positions(writer.spans)
    return Encoded(
        token_ids=tuple(writer.ids),
        positions_3L=positions,
        next_position=next_position,
        pixels_THWC=pixels_THWC,
        grid_thw=grid_thw,
        num_vision_tokens=num_patches * writer.rows * writer.columns,
        vision_starts=tuple(writer.starts),
        tokens_per_patch=writer.rows * writer.columns,
    )
