"""Tiny networks, clips and samples, on which models and training really run in milliseconds."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from kairoscope.core import FramePolicy, Request, Sample
from kairoscope.events import Event, Events, Query
from kairoscope.models.chat import Encoded, Family, encode
from kairoscope.models.checkpoint import Checkpoint, make_encoder, use_fast_attention
from kairoscope.models.scratch import Size, new_network, train_tokenizer
from kairoscope.recipes.subtask_times import TASK, prompt, render
from kairoscope.video.sampling import QWEN25_GEOMETRY

QUERY: Query = ("grasping the red cube", "placing the red cube on the green one.", "letting go")
SIZE = Size(
    vision_depth=2,
    vision_width=32,
    vision_heads=2,
    text_depth=2,
    text_width=48,
    text_heads=2,
    text_kv_heads=1,
)
POLICY = FramePolicy(
    fps=4.0, min_frame_pixels=28 * 28, max_frame_pixels=28 * 28 * 9, stamp_place="band"
)
"""12 vision tokens a pair of frames of a square clip: 3 x 3 and a band of 3 below."""


def gold_events(num_events: int, length_s: float, shift_s: float = 0.0) -> Events:
    """Events that fill a clip; the starts of all but the first are not written."""
    step_s = (length_s - 0.3) / num_events
    ends = [0.1 + shift_s + step_s * (i + 1) for i in range(num_events)]
    return tuple(
        Event(name, 0.1 if i == 0 else None, round(end_s, 2))
        for i, (name, end_s) in enumerate(zip(QUERY, ends, strict=False))
    )


def write_clip(path: Path, *, seconds: float, seed: int, size: tuple[int, int] = (84, 84)) -> Path:
    """A square that wanders over a coloured ground, 12 frames a second."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 200, 3)
    place, step = rng.integers(8, 40, 2), rng.integers(1, 4, 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=12, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(round(seconds * 12)):
            picture = np.full((size[1], size[0], 3), ground, dtype=np.uint8)
            y, x = (place + number * step) % (min(size) - 16)
            picture[y : y + 16, x : x + 16] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_samples(
    folder: Path, count: int, *, first: int = 0, seconds: Sequence[float] = (1.5, 2.0, 1.2, 2.6)
) -> list[Sample[Query, Events]]:
    """Labelled clips of different lengths with one to three events."""
    samples = []
    for number in range(first, first + count):
        length_s, num_events = seconds[number % len(seconds)], 1 + number % len(QUERY)
        gold = gold_events(num_events, length_s, 0.05 * (number % 3))
        samples.append(
            Sample(
                id=f"clip-{number}",
                video=write_clip(folder / f"clip-{number}.mp4", seconds=length_s, seed=number),
                query=QUERY[:num_events],
                gold=gold,
                group=f"group-{number}",
                scenario="stack",
                duration_s=length_s,
            )
        )
    return samples


def make_tokenizer() -> Any:
    """A tokenizer of the task's words and single digits."""
    asked = prompt(QUERY)
    answer = render(QUERY, gold_events(3, 3.0))
    return train_tokenizer([asked.system, asked.before, asked.after, answer] * 3, 420)


def qwen3_network(tokenizer: Any, seed: int) -> Any:
    """A randomly initialised Qwen3-VL with deep-stacked vision features."""
    torch.manual_seed(seed)
    token = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 24,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [4, 4, 4],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 48,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    return Qwen3VLForConditionalGeneration(config)


def make_network(tokenizer: Any, family: Family = "qwen2_5_vl", seed: int = 0) -> Any:
    """A network whose outputs differ clearly: its random weights are five times the usual size."""
    if family == "qwen2_5_vl":
        network = new_network(tokenizer, SIZE, seed)
    else:
        network = qwen3_network(tokenizer, seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(5)
    return network.eval()


def make_checkpoint(
    tokenizer: Any, family: Family = "qwen2_5_vl", seed: int = 0, *, windows: bool = True
) -> Checkpoint:
    """A tiny checkpoint in memory; `windows=False` leaves transformers' own vision attention."""
    network = make_network(tokenizer, family, seed)
    if windows:
        use_fast_attention(network)
    return Checkpoint(
        name=f"tiny {family}",
        network=network,
        encoder=make_encoder(network, tokenizer),
        policy=POLICY,
        identity=f"seed {seed}",
    )


def request_for(sample: Sample[Query, Events], policy: FramePolicy = POLICY) -> Request:
    """What an evaluation asks about a sample."""
    return Request(
        id=sample.id,
        video=sample.video,
        prompt=prompt(sample.query),
        policy=policy,
        template=partial(TASK.template, sample.query),
    )


def encode_noise(
    checkpoint: Checkpoint,
    num_frames: int = 6,
    *,
    units: tuple[int, int] = (3, 2),
    fps: float = 8.0,
    seed: int = 0,
    policy: FramePolicy = POLICY,
) -> Encoded:
    """A prompt about frames of noise, `units` (down, across) vision tokens a pair."""
    unit = checkpoint.encoder.geometry.unit_px
    generator = torch.Generator().manual_seed(seed)
    shape = (num_frames, units[0] * unit, units[1] * unit, 3)
    pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    times_s = tuple(i / fps for i in range(num_frames))
    return encode(checkpoint.encoder, prompt(QUERY), pixels, times_s, policy)


def plain_forward(network: Any, prompts: Sequence[Encoded], tail: Sequence[int] = ()) -> Any:
    """Logits of transformers' own forward pass, one prompt after the other, (tokens, vocabulary).

    `tail` is appended to every prompt. Pixels are cut into patches here by other means than the
    package's: an unfold instead of its permutation.
    """
    all_logits = []
    for prompt_ in prompts:
        ids = torch.tensor([[*prompt_.token_ids, *tail]])
        after = prompt_.next_position + torch.arange(len(tail)).expand(3, -1)
        out = network(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=(ids == network.config.video_token_id).int() * 2,
            position_ids=torch.cat([prompt_.positions_3L, after], dim=1)[:, None],
            pixel_values_videos=unfolded(prompt_, network.config.model_type),
            video_grid_thw=torch.tensor([prompt_.grid_thw]),
        )
        all_logits.append(out.logits[0])
    return all_logits


def unfolded(prompt_: Encoded, family: str) -> torch.Tensor:
    """Patches of a prompt's frames, (patches, 3 * 2 * side * side)."""
    mean, std, side = [0.5] * 3, [0.5] * 3, 16
    if family == "qwen2_5_vl":
        mean, std, side = list(QWEN25_GEOMETRY.mean), list(QWEN25_GEOMETRY.std), 14
    frames = prompt_.pixels_THWC.float() / 255
    if len(frames) % 2:
        frames = torch.cat([frames, frames[-1:]])
    frames = ((frames - torch.tensor(mean)) / torch.tensor(std)).permute(0, 3, 1, 2)
    rows = []
    for first, second in zip(frames[::2], frames[1::2], strict=True):
        pair = torch.stack([first, second], dim=1)  # channel, frame, y, x
        for y in range(0, pair.shape[2], 2 * side):
            for x in range(0, pair.shape[3], 2 * side):
                for dy in (0, side):
                    for dx in (0, side):
                        top, left = y + dy, x + dx
                        rows.append(pair[:, :, top : top + side, left : left + side].flatten())
    return torch.stack(rows)
