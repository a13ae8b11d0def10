"""The vision tower alone learns where the hand is; the language model stays as it was."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import POLICY, make_checkpoint

from kairoscope.config import SFTConfig
from kairoscope.core import UserError
from kairoscope.data.tracks import HandTrack
from kairoscope.train.clips import ClipStore
from kairoscope.train.vision_warmup import draw_pairs, warm_up_vision

CONFIG = SFTConfig(batch_size=8, max_steps=12, learning_rate=3e-3, warmup_steps=1, seed=4)


def tracks_of(samples: Any) -> dict[str, HandTrack]:
    """A hand that crosses the picture and closes half way."""
    times = tuple(i / 12 for i in range(60))
    return {
        sample.id: HandTrack(
            times_s=times,
            column=tuple((i / 60) for i in range(60)),
            row=(0.5,) * 60,
            opening=(0.9,) * 60,
            holding=tuple(float(i > 30) for i in range(60)),
        )
        for sample in samples
    }


def run(samples: Any, tokenizer: Any, out: Path, before: int = 0) -> tuple[Any, list[float]]:
    """`before`: what torch's own randomness was at; it must not matter."""
    checkpoint = make_checkpoint(tokenizer, "qwen2_5_vl")
    torch.manual_seed(before)
    losses: list[float] = []
    warm_up_vision(
        checkpoint,
        samples,
        tracks_of(samples),
        policy=POLICY,
        config=CONFIG,
        out=out,
        log=lambda row: losses.append(row["loss"]),
    )
    return checkpoint, losses


def test_it_learns_and_leaves_the_language_model_alone(
    samples: Any, tokenizer: Any, tmp_path: Path
) -> None:
    before = make_checkpoint(tokenizer, "qwen2_5_vl").network.state_dict()
    checkpoint, losses = run(samples, tokenizer, tmp_path)
    assert len(losses) == CONFIG.max_steps
    assert losses[-1] < 0.7 * losses[0]
    after = checkpoint.network.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert all("visual" in key for key in changed)


def test_the_seed_decides_everything(samples: Any, tokenizer: Any, tmp_path: Path) -> None:
    one, other = (run(samples, tokenizer, tmp_path / str(i), i)[1] for i in range(2))
    assert one == other


def test_a_mirrored_pair_shows_the_hand_on_the_other_side(samples: Any, tokenizer: Any) -> None:
    checkpoint = make_checkpoint(tokenizer, "qwen2_5_vl")
    store = ClipStore(POLICY, checkpoint.encoder.geometry, dense=True, tracks=tracks_of(samples))
    clip = store.get(samples[0])
    sides = set()
    for seed in range(12):
        pairs = draw_pairs(checkpoint, [clip], POLICY, random.Random(seed))
        states = pairs.states_B2C[0]
        assert (states > 0).sum(dim=1).tolist() == [1, 1]
        sides.add(int(states[0].argmax()) % 3)
    assert len(sides) > 1


def test_clips_without_tracks_are_an_error(samples: Any, tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tracks\.jsonl"):
        warm_up_vision(
            make_checkpoint(tokenizer, "qwen2_5_vl"),
            samples,
            {},
            policy=POLICY,
            config=CONFIG,
            out=tmp_path,
            log=lambda _: None,
        )
