"""The clips of a run: decoded once while they fit, checked before the first step."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import POLICY, make_checkpoint

from kairoscope.recipes.subtask_times import TASK
from kairoscope.train import clips as clips_module
from kairoscope.train.clips import ClipStore, available_bytes
from kairoscope.train.examples import plain_example
from kairoscope.video.frames import load_frames
from kairoscope.video.sampling import QWEN25_GEOMETRY


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the clips that are decoded, in order; decoding itself stays as it is."""
    names: list[str] = []

    def counting(path: Path, *rest: Any) -> Any:
        names.append(path.stem)
        return load_frames(path, *rest)

    monkeypatch.setattr(clips_module, "load_frames", counting)
    return names


def test_clips_are_decoded_once(samples: Any, decoded: list[str]) -> None:
    store = ClipStore(POLICY, QWEN25_GEOMETRY, dense=False)
    for _ in range(3):
        for sample in samples:
            store.get(sample)
    assert decoded == [sample.id for sample in samples]


def test_the_first_clips_stay_when_memory_is_full(samples: Any, decoded: list[str]) -> None:
    sizes = [
        ClipStore(POLICY, QWEN25_GEOMETRY, dense=False).get(s).pictures_THWC.numel()
        for s in samples[:4]
    ]
    decoded.clear()
    store = ClipStore(POLICY, QWEN25_GEOMETRY, dense=False, limit_bytes=sizes[0] + sizes[1])
    for _ in range(2):
        for sample in (samples[0], samples[1], samples[3]):
            store.get(sample)
    assert decoded == ["clip-0", "clip-1", "clip-3", "clip-3"]
    nothing = ClipStore(POLICY, QWEN25_GEOMETRY, dense=False, limit_bytes=0)
    a, b = nothing.get(samples[0]), store.get(samples[0])
    assert torch.equal(a.pictures_THWC, b.pictures_THWC)


def test_the_limit_is_a_part_of_the_free_memory() -> None:
    store = ClipStore(POLICY, QWEN25_GEOMETRY, dense=False)
    assert 2**26 < store.limit_bytes <= available_bytes()


def test_training_sees_the_pixels_of_inference(samples: Any, tokenizer: Any) -> None:
    """Stamped after it was decoded without a stamp, a clip is what `load_frames` gives."""
    encoder = make_checkpoint(tokenizer).encoder
    for policy in (POLICY, replace(POLICY, stamp_place="over", stamp="frame")):
        store = ClipStore(policy, QWEN25_GEOMETRY, dense=False)
        for sample in samples[:3]:
            example = plain_example(encoder, TASK, sample, store.get(sample), policy)
            frames = load_frames(sample.video, policy, QWEN25_GEOMETRY)
            assert torch.equal(example.encoded.pixels_THWC, frames.pixels_THWC)


def test_dense_clips_have_the_size_of_plain_ones_and_three_times_the_frames(samples: Any) -> None:
    tight = replace(POLICY, total_pixels=40_000)
    plain = ClipStore(tight, QWEN25_GEOMETRY, dense=False).get(samples[3])
    dense = ClipStore(tight, QWEN25_GEOMETRY, dense=True).get(samples[3])
    assert plain.pictures_THWC.shape[1:] == dense.pictures_THWC.shape[1:]
    assert len(dense.times_s) >= 3 * len(plain.times_s) - 2
    assert set(plain.times_s) <= set(dense.times_s)
