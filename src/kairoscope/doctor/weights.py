"""Whether weights in this process are fed what the design asks for.

Every check computes its expectation another way than the code it checks: positions by the
arithmetic written out, pixels by the formula of the Hugging Face processor, logits by a plain
forward pass of transformers without our decoding.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from kairoscope.core import FramePolicy, Prompt
from kairoscope.doctor.finding import Finding
from kairoscope.models.chat import Encoded, encode, text_ids, video_inputs
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.models.session import Session
from kairoscope.video.patches import to_patches
from kairoscope.video.sampling import PatchGeometry


def fed(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Whether positions, pixels and the cached prefill of a checkpoint are right."""
    policy = checkpoint.policy or FramePolicy()
    weights = sum(weight.numel() for weight in checkpoint.network.parameters())
    yield Finding(
        "model", f"{checkpoint.name}: {weights / 1e6:.1f} M weights, {checkpoint.identity}"
    )
    yield Finding(
        "frames",
        f"{policy.fps:g} fps, stamp {policy.stamp} ({policy.stamp_place}), "
        f"at most {policy.max_frame_pixels} px a frame",
    )
    encoder = checkpoint.encoder
    digits = [len(text_ids(encoder, str(d))) for d in range(10)]
    together = text_ids(encoder, "<12.34> <5.6>")
    apart = [
        i
        for part in ("<", "1", "2", ".", "3", "4", "> <", "5", ".", "6", ">")
        for i in text_ids(encoder, part)
    ]
    single = digits == [1] * 10 and list(together) == apart
    yield Finding("tokenizer", "one token a digit, none joined to its neighbours", good=single)
    prompt, times = _probe(checkpoint, policy)
    ids = prompt.positions_3L[0, list(prompt.vision_starts)].tolist()
    expected = _expected_ids(checkpoint, policy, times, ids[0])
    distinct = len(set(ids))
    note = f"{len(ids)} temporal patches at {distinct} positions"
    if distinct < len(ids):
        note += f"; {len(ids) - distinct} share one (set clock_scale to spread them)"
    yield Finding("time positions", note, good=ids == expected)
    after = int(prompt.positions_3L[:, prompt.vision_starts[-1] + prompt.tokens_per_patch].min())
    last = int(prompt.positions_3L[:, : prompt.vision_starts[-1] + prompt.tokens_per_patch].max())
    yield Finding(
        "text after the video", f"continues at {after}, past {last}", good=after == last + 1
    )
    yield _pixels(prompt, encoder.geometry)
    yield _prefill(checkpoint, prompt)


def _probe(checkpoint: Checkpoint, policy: FramePolicy) -> tuple[Encoded, tuple[float, ...]]:
    unit = checkpoint.encoder.geometry.unit_px
    times = tuple(i / policy.fps for i in range(10))
    pixels = torch.randint(
        0, 256, (10, 4 * unit, 3 * unit, 3), dtype=torch.uint8, generator=torch.manual_seed(0)
    )
    prompt = Prompt(system="Say when.", before="Event 1: it moves", after="When?")
    return encode(checkpoint.encoder, prompt, pixels, times, policy), times


def _expected_ids(
    checkpoint: Checkpoint, policy: FramePolicy, times: tuple[float, ...], first: int
) -> list[int]:
    """Temporal position of every patch by the rule in words: 2 a second, times the clock."""
    if checkpoint.encoder.family == "qwen3_vl":
        # One block a patch, text between: the positions only have to rise.
        return _rising(checkpoint, policy, times)
    rate = checkpoint.encoder.tokens_per_second * policy.clock_scale
    return [first + int(times[2 * k] * rate + 1e-6) for k in range(len(times) // 2)]


def _rising(checkpoint: Checkpoint, policy: FramePolicy, times: tuple[float, ...]) -> list[int]:
    prompt, _ = _probe(checkpoint, policy)
    ids = prompt.positions_3L[0, list(prompt.vision_starts)].tolist()
    return sorted(set(ids)) if len(times) // 2 == len(ids) else []


def _pixels(prompt: Encoded, geometry: PatchGeometry) -> Finding:
    """One patch by hand: (x / 255 - mean) / std, frames, rows, columns within a channel."""
    values, _ = to_patches(prompt.pixels_THWC, geometry)
    p = geometry.patch_px
    corner = prompt.pixels_THWC[:2, :p, :p].double() / 255
    by_hand = (corner - torch.tensor(geometry.mean)) / torch.tensor(geometry.std)
    gap = (values[0].double() - by_hand.permute(3, 0, 1, 2).flatten()).abs().max().item()
    return Finding("pixels", f"largest difference from the formula {gap:.1e}", good=gap < 1e-5)


@torch.inference_mode()
def _prefill(checkpoint: Checkpoint, prompt: Encoded) -> Finding:
    """The first token's logits with our cache against a plain forward pass."""
    network: Any = checkpoint.network
    ours = Session(network, checkpoint.encoder, [prompt]).last_BV[0]
    hidden = network.model(
        input_ids=torch.tensor([prompt.token_ids], device=network.device),
        position_ids=prompt.positions_3L[:, None].to(network.device),
        use_cache=False,
        **video_inputs(checkpoint.encoder, [prompt], network.device),
    ).last_hidden_state
    plain = network.lm_head(hidden[:, -1])[0].float()
    gap = ((ours - plain).abs().max() / plain.abs().max()).item()
    blank = torch.zeros_like(prompt.pixels_THWC)
    blind = replace(prompt, pixels_THWC=blank)
    change = (Session(network, checkpoint.encoder, [blind]).last_BV[0] - ours).abs().max().item()
    good = gap < 1e-2 and change > 0
    return Finding(
        "logits",
        f"cached against plain: {gap:.1e}; without pixels they change by {change:.2g}",
        good,
    )
