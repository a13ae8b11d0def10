"""Positions: those of transformers where it is right, and different exactly where it is not."""

from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import encode_noise, make_checkpoint

from kairoscope.models.positions import TextSpan, VideoSpan, mrope_positions, temporal_ids


@pytest.fixture(scope="module")
def qwen25(tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer)


@pytest.fixture(scope="module")
def qwen3(tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer, "qwen3_vl")


def theirs(network: Any, prompt: Any, **more: Any) -> torch.Tensor:
    ids = torch.tensor([prompt.token_ids])
    positions, _ = network.model.get_rope_index(
        input_ids=ids,
        mm_token_type_ids=(ids == network.config.video_token_id).int() * 2,
        video_grid_thw=torch.tensor([prompt.grid_thw]),
        attention_mask=torch.ones_like(ids),
        **more,
    )
    mine: torch.Tensor = positions[:, 0]
    return mine


@pytest.mark.parametrize("fps", [1.0, 2.0, 4.0, 8.0, 12.0, 16.0])
@pytest.mark.parametrize("num_frames", [1, 2, 7, 40])
def test_text_and_video_up_to_the_videos_end_are_as_in_transformers(
    qwen25: Any, fps: float, num_frames: int
) -> None:
    prompt = encode_noise(qwen25, num_frames, fps=fps, units=(2, 3))
    reference = theirs(qwen25.network, prompt, second_per_grid_ts=torch.tensor([2 / fps]))
    end = prompt.vision_starts[-1] + prompt.tokens_per_patch
    assert torch.equal(prompt.positions_3L[:, :end], reference[:, :end])
    used = prompt.positions_3L[:, :end].max().item()
    begin = prompt.positions_3L[0, prompt.vision_starts[0]].item()
    num_after = len(prompt.token_ids) - end
    assert torch.equal(prompt.positions_3L[0, end:], used + 1 + torch.arange(num_after))
    assert torch.equal(reference[0, end:], begin + 3 + torch.arange(num_after))
    assert prompt.next_position == used + 1 + num_after


def test_transformers_puts_the_text_inside_a_long_video(qwen25: Any) -> None:
    """10 s at 8 fps, 16 x 16 patches: the numbers of docs/decisions/positions.md."""
    spans = (TextSpan(15), VideoSpan(ids_of(80, 8.0), 8, 8), TextSpan(10))
    ours, following = mrope_positions(spans)
    temporal = ours[0, 15 : 15 + 40 * 64].tolist()
    assert (min(temporal), max(temporal), len(set(temporal))) == (15, 34, 20)
    assert ours[0, 15 + 40 * 64] == 35
    assert following == 45
    ids = torch.tensor([[1] * 15 + [qwen25.network.config.video_token_id] * 40 * 64 + [1] * 10])
    for declared_fps, last in ((8.0, 34), (24.0, 21)):
        reference, _ = qwen25.network.model.get_rope_index(
            input_ids=ids,
            mm_token_type_ids=(ids == qwen25.network.config.video_token_id).int() * 2,
            video_grid_thw=torch.tensor([[40, 16, 16]]),
            second_per_grid_ts=torch.tensor([2 / declared_fps]),
        )
        assert reference[0, 0, 15 : 15 + 40 * 64].max() == last
        assert reference[0, 0, 15 + 40 * 64] == 23


def ids_of(num_frames: int, fps: float, clock_scale: float = 1.0) -> tuple[int, ...]:
    return temporal_ids(
        -(-num_frames // 2),
        seconds_per_patch=2 / fps,
        tokens_per_second=2.0,
        clock_scale=clock_scale,
    )


def test_a_scaled_clock_gives_every_pair_its_own_position() -> None:
    assert ids_of(8, 8.0) == (0, 0, 1, 1)
    assert ids_of(8, 8.0, clock_scale=2.0) == (0, 1, 2, 3)
    assert len(set(ids_of(80, 8.0, clock_scale=2.0))) == 40


@given(
    st.integers(1, 200),
    st.fractions(Fraction(1, 10), 60, max_denominator=1000),
    st.sampled_from([0.5, 1.0, 2.0, 4.0]),
)
@settings(deadline=None, max_examples=40)
def test_temporal_ids_are_the_exact_floor(patches: int, fps: Fraction, scale: float) -> None:
    ids = temporal_ids(
        patches, seconds_per_patch=float(2 / fps), tokens_per_second=2.0, clock_scale=scale
    )
    exact = [k * (2 / fps) * 2 * Fraction(scale) for k in range(patches)]
    assert all(i in (int(e), int(e + Fraction(1, 10**5))) for i, e in zip(ids, exact, strict=True))
    assert list(ids) == sorted(ids)


@pytest.mark.parametrize("num_frames", [1, 2, 7, 24])
@pytest.mark.parametrize("units", [(1, 1), (3, 2), (2, 5)])
def test_qwen3_positions_are_those_of_transformers_throughout(
    qwen3: Any, num_frames: int, units: tuple[int, int]
) -> None:
    prompt = encode_noise(qwen3, num_frames, units=units)
    assert torch.equal(prompt.positions_3L, theirs(qwen3.network, prompt))


def test_qwen3_writes_the_mean_time_of_every_pair(qwen3: Any, tokenizer: Any) -> None:
    prompt = encode_noise(qwen3, 5, fps=4.0)
    text = tokenizer.decode(prompt.token_ids)
    pads = "<|video_pad|>" * prompt.tokens_per_patch
    videos = "".join(
        f"<{t} seconds><|vision_start|>{pads}<|vision_end|>" for t in ("0.1", "0.6", "1.0")
    )
    assert videos in text
    assert len(prompt.vision_starts) == 3
    assert list(prompt.token_ids) == tokenizer.encode(text)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4), st.integers(1, 4)), max_size=5))
@settings(deadline=None, max_examples=40)
def test_every_span_begins_after_all_positions_before_it(parts: list[tuple[int, int, int]]) -> None:
    spans: list[TextSpan | VideoSpan] = [TextSpan(2)]
    for patches, rows, columns in parts:
        spans += [VideoSpan(tuple(range(patches + 1)), rows, columns), TextSpan(3)]
    positions, following = mrope_positions(spans)
    at, highest = 0, -1
    for span in spans:
        block = positions[:, at : at + span.num_tokens]
        assert block[:, 0].tolist() == [highest + 1] * 3
        highest = int(block.max())
        at += span.num_tokens
    assert (at, following) == (positions.shape[1], highest + 1)
