"""Our prompt and frames as vLLM takes them, so that it has nothing left to sample, resize or time."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kairoscope.core import FramePolicy, Prompt
from kairoscope.models.chat import (
    VIDEO_PAD,
    Encoded,
    Encoder,
    around_the_video,
    seconds_per_patch,
    text_ids,
)
from kairoscope.models.parity import temporal_ids_of
from kairoscope.models.vllm_clips import Asked
from kairoscope.video.frames import ClipFrames

NOTHING_LEFT = {"do_resize": False, "do_sample_frames": False}


def vllm_prompt(encoder: Encoder, asked: Asked, written: Sequence[int] = ()) -> dict[str, Any]:
    """Token ids with one place for the video, and its frames with their times.

    vLLM puts the vision tokens (and for Qwen3-VL the times in words) into that place itself.

    Args:
        encoder: of the model.
        asked: the question and its clip.
        written: tokens of an answer that has begun.
    """
    request, frames, encoded = asked.request, asked.frames, asked.encoded
    if request.video is None:
        return {"prompt_token_ids": [*encoded.token_ids, *written]}
    pixels = encoded.pixels_THWC.numpy()
    if encoder.family == "qwen3_vl":
        # Its times are index / rate: indices that are times, at a rate of one.
        rate, indices = 1.0, list(frames.times_s)
    else:
        rate, indices = clock_rate(encoder, encoded, frames, request.policy), [*range(len(pixels))]
    metadata = {
        "fps": rate,
        "duration": len(pixels) / rate,
        "total_num_frames": len(pixels),
        "frames_indices": indices,
        "video_backend": "kairoscope",
        "do_sample_frames": False,
    }
    return {
        "prompt_token_ids": [*with_one_place(encoder, request.prompt), *written],
        "multi_modal_data": {"video": [(pixels, metadata)]},
        # Instead of a hash of all pixels, which every question about a clip would cost.
        "multi_modal_uuids": {"video": [f"kairoscope-{asked.serial}"]},
        "mm_processor_kwargs": dict(NOTHING_LEFT),
    }


def with_one_place(encoder: Encoder, prompt: Prompt) -> list[int]:
    """The prompt with a single token for the whole video."""
    head, tail = around_the_video(prompt)
    if encoder.family == "qwen2_5_vl":
        head, tail = f"{head}<|vision_start|>", f"<|vision_end|>{tail}"
    return [i for part in (head, VIDEO_PAD, tail) for i in text_ids(encoder, part)]


def clock_rate(
    encoder: Encoder, encoded: Encoded, frames: ClipFrames, policy: FramePolicy
) -> float:
    """Frames a second that give vLLM our temporal positions, `clock_scale` included.

    It computes floor(patch * seconds of a patch * positions a second) in single precision, we with
    a little slack, so that of the rates nearest to the true one the first is taken that gives
    the same whole numbers. Where none does, the true one; the comparison says so.
    """
    temporal = encoder.geometry.temporal
    exact = temporal / seconds_per_patch(frames.times_s, policy, temporal) / policy.clock_scale
    wanted = temporal_ids_of(encoded)
    for rate in _near(exact):
        if vllm_temporal_ids(rate, len(wanted), encoder) == wanted:
            return rate
    return exact


def _near(rate: float) -> Iterator[float]:
    yield rate
    for exponent in range(-8, -3):
        yield rate * (1 - 10.0**exponent)
        yield rate * (1 + 10.0**exponent)


def vllm_temporal_ids(rate: float, num_patches: int, encoder: Encoder) -> tuple[int, ...]:
    """Temporal positions by vLLM's rule for Qwen2.5-VL."""
    seconds = float(np.float32(encoder.geometry.temporal / rate))
    factor = seconds * encoder.tokens_per_second
    return tuple(int(k * factor) for k in range(num_patches))
