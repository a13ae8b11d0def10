"""The 7B shape with random weights, samples of noise for it, and how many operations a step needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from kairoscope.core import FramePolicy, Prompt
from kairoscope.models.chat import Encoder, encode, text_ids
from kairoscope.models.checkpoint import make_encoder, use_fast_attention
from kairoscope.models.scratch import train_tokenizer
from kairoscope.train.examples import Example

# Qwen2.5-VL-7B-Instruct as published; Cosmos-Reason1-7B has the same shape.
TEXT_7B = {
    "vocab_size": 152_064,
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 128_000,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 1_000_000.0,
        "mrope_section": [16, 24, 24],
    },
    "tie_word_embeddings": False,
}
VISION_7B = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "out_hidden_size": 3584,
    "tokens_per_second": 2,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
TEXT_SMALL = TEXT_7B | {
    "vocab_size": 2048,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_parameters": TEXT_7B["rope_parameters"] | {"mrope_section": [4, 6, 6]},  # type: ignore[operator]
}
VISION_SMALL = VISION_7B | {
    "depth": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_heads": 2,
    "out_hidden_size": 128,
    "fullatt_block_indexes": [1],
}
EVENTS = ("picking up the nut", "carrying it to the bolt", "turning it until it holds")
QUESTION = Prompt(
    system="Find when each of the listed events starts and ends.",
    before="Event 1: picking up the nut\nEvent 2: carrying it\nEvent 3: turning it\n",
    after="Give the time of every event.",
)
ANSWER = "<answer>\n{}\n</answer><|im_end|>"
FPS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A network's size and what its clips are like."""

    text: dict[str, Any]
    vision: dict[str, Any]
    frame_px: int
    """Side of the square frames of the clips of 7 s."""
    mixed_px: int
    """Side of the frames of the clips of mixed lengths."""


FULL = Shape(text=TEXT_7B, vision=VISION_7B, frame_px=476, mixed_px=280)
SMOKE = Shape(text=TEXT_SMALL, vision=VISION_SMALL, frame_px=56, mixed_px=56)


def tokenizer() -> Any:
    """A small one: what a token says does not change what it costs."""
    return train_tokenizer([QUESTION.before, answer_text(7.0), QUESTION.after] * 3, 400)


def build(shape: Shape, device: str, dtype: torch.dtype, *, fast: bool) -> tuple[Any, Encoder]:
    """The network with random weights, made on the device itself.

    `fast` gives it our attention; else transformers' SDPA.
    """
    words = tokenizer()
    token = words.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config=dict(shape.text),
        vision_config=dict(shape.vision),
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    config._attn_implementation = "sdpa"
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            network = Qwen2_5_VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    _fill(network)
    if fast:
        use_fast_attention(network)
    return network, make_encoder(network, words)


@torch.no_grad()
def _fill(network: Any) -> None:
    """Random weights that are exact in bfloat16, as published ones are."""
    torch.manual_seed(0)
    for name, weight in network.named_parameters():
        if weight.ndim >= 2:
            weight.normal_(std=0.02)
            weight.copy_(weight.bfloat16())
        else:
            weight.fill_(1.0 if "norm" in name or "ln_q" in name else 0.0)


def answer_text(seconds: float) -> str:
    """As long as real ones: three events with their times."""
    step_s = seconds / len(EVENTS)
    lines = [
        f"Event {i + 1}: <{i * step_s:.2f}> <{(i + 1) * step_s:.2f}> {name}"
        for i, name in enumerate(EVENTS)
    ]
    return ANSWER.format("\n".join(lines))


def example(encoder: Encoder, seconds: float, side_px: int, seed: int) -> Example:
    """A clip of noise at 8 frames a second with its answer."""
    num_frames = max(2, round(seconds * FPS))
    generator = torch.Generator().manual_seed(seed)
    shape = (num_frames, side_px, side_px, 3)
    pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    times_s = tuple(i / FPS for i in range(num_frames))
    encoded = encode(encoder, QUESTION, pixels, times_s, FramePolicy(fps=FPS))
    answer = text_ids(encoder, answer_text(seconds))
    return Example(encoded=encoded, answer_ids=answer, dense=())


def useful_flops(shape: Shape, examples: Sequence[Example], kind: str, *, cached: bool) -> float:
    """Multiplications and additions that an optimiser step over the examples cannot do without.

    The language model's forward pass and the gradient of its activations; of its weights too where
    they are trained (`full`). Causal attention counts half. The vocabulary counts for the answer
    alone, the frozen vision tower for its forward pass, unless its features are cached. What is
    computed twice to save memory does not count.
    """
    text, vision = shape.text, shape.vision
    width, inner, layers = (
        text[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    groups = text["num_key_value_heads"] / text["num_attention_heads"]
    weights = layers * (width * width * (2 + 2 * groups) + 3 * width * inner)
    passes = 3 if kind == "full" else 2
    total = 0.0
    for one in examples:
        length, answers = one.num_tokens, len(one.answer_ids)
        total += passes * 2 * (weights * length + width * text["vocab_size"] * answers)
        total += 3 * 2 * length * length * width * layers
        if not cached:
            total += _tower_flops(vision, one)
    return total


def _tower_flops(vision: dict[str, Any], one: Example) -> float:
    """Of one forward pass over a clip."""
    width, inner, depth = (vision[key] for key in ("hidden_size", "intermediate_size", "depth"))
    patches, down, across = one.encoded.grid_thw
    rows = patches * down * across
    whole = len(vision["fullatt_block_indexes"])
    windows = (vision["window_size"] // 14) ** 2
    attention = 4 * rows * width * (whole * down * across + (depth - whole) * windows)
    merged = 4 * width
    merger = rows / 4 * (merged * merged + merged * vision["out_hidden_size"])
    embed = rows * 3 * 2 * 14 * 14 * width
    linear = rows * depth * (4 * width**2 + 3 * width * inner) + merger + embed
    return float(2 * linear + attention)
