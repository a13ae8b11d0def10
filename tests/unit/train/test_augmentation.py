"""Variations keep times, labels and frames together, and depend on their seed alone."""

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from tiny_models import POLICY, QUERY, make_checkpoint

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample
from kairoscope.events import Event, Events
from kairoscope.recipes.subtask_times import TASK
from kairoscope.train.clips import DENSITY
from kairoscope.train.examples import Clip, Example, plain_example, thinned, varied_example
from kairoscope.train.feed import one_example

SEEDS = [str(number) for number in range(60)]
BARE = replace(POLICY, stamp="none")
DENSE_FPS = POLICY.fps * DENSITY
NUM_DENSE = 60
SIDE = 84


@pytest.fixture(scope="module")
def encoder(tokenizer: Any) -> Any:
    return make_checkpoint(tokenizer).encoder


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Frame i has its row i lit: readable in any light, and in a mirror."""
    pictures = torch.full((NUM_DENSE, SIDE, SIDE, 3), 90, dtype=torch.uint8)
    for number in range(NUM_DENSE):
        pictures[number, number, : SIDE // 3] = 250
        pictures[number, number, SIDE // 3 :] = 160
    return Clip(pictures_THWC=pictures, times_s=tuple(i / DENSE_FPS for i in range(NUM_DENSE)))


GOLD: Events = (Event(QUERY[0], 0.3, 1.4), Event(QUERY[1], None, 2.6), Event(QUERY[2], 2.9, 4.1))


def sample_of(gold: Events) -> Sample[Any, Any]:
    return Sample(
        id="a",
        video=None,  # type: ignore[arg-type]
        query=tuple(event.name for event in gold),
        gold=gold,
        group="g",
        scenario="s",
        duration_s=5.0,
    )


def source_frames(example: Example) -> list[int]:
    """Which frames of the clip an example shows."""
    bright = example.encoded.pixels_THWC[..., 0].float().mean(dim=2)
    return bright.argmax(dim=1).tolist()


def answer(tokenizer: Any, example: Example) -> Events:
    text = tokenizer.decode(example.answer_ids)
    query = tuple(re.findall(r"> ([^<\n]+)\n", text))
    events = TASK.parse(query, text.removesuffix("<|im_end|>"))
    assert isinstance(events, tuple)
    return events


@pytest.mark.parametrize("seed", SEEDS)
def test_an_events_end_shows_what_it_showed(
    encoder: Any, tokenizer: Any, clip: Clip, seed: str
) -> None:
    """The end that is to be answered names a frame; its picture is within the sampling of the clip.

    Half a frame step of the varied clip, in the clip's own time, and one dense frame.
    """
    varied = varied_example(encoder, TASK, sample_of(GOLD), clip, BARE, seed)
    frames = source_frames(varied)
    assert frames == sorted(set(frames))
    times_s = shown_times(varied, frames)
    originals = {TASK_NAMES[event.name]: event for event in GOLD}
    step_s = max(b - a for a, b in pairwise(frames)) / DENSE_FPS
    for event in answer(tokenizer, varied):
        original = originals[TASK_NAMES[event.name]]
        nearest = min(range(len(frames)), key=lambda i: abs(times_s[i] - event.end_s))
        assert abs(frames[nearest] / DENSE_FPS - original.end_s) <= step_s / 2 + 1 / DENSE_FPS
        if original.start_s is not None and event.start_s:
            at = min(range(len(frames)), key=lambda i: abs(times_s[i] - (event.start_s or 0)))
            assert abs(frames[at] / DENSE_FPS - original.start_s) <= step_s / 2 + 1 / DENSE_FPS


TASK_NAMES = {name.rstrip("."): name for name in QUERY} | {name: name for name in QUERY}


def shown_times(example: Example, frames: list[int]) -> list[float]:
    """Times of a variation: linear in the source, from 0, at the speed that its dense labels tell.

    The clock in the dense labels is the time of every second frame.
    """
    grid = example.encoded
    clock = [
        int("".join(str(DIGITS[token]) for _, token in example.dense[6 * k : 6 * k + 4])) / 100
        for k in range(grid.grid_thw[0])
    ]
    last = (len(clock) - 1) * 2
    if last == 0:
        return [0.0] * len(frames)
    rate = clock[-1] / (frames[last] - frames[0])
    times_s = [(frame - frames[0]) * rate for frame in frames]
    for k, told in enumerate(clock):
        assert abs(told - times_s[2 * k]) < 0.02 + 2 * rate
    return times_s


DIGITS: dict[int, int] = {}


@pytest.fixture(scope="module", autouse=True)
def _digits(tokenizer: Any) -> None:
    DIGITS.update({tokenizer.encode(str(d))[0]: d for d in range(10)})


def test_every_kind_of_variation_occurs(encoder: Any, tokenizer: Any, clip: Clip) -> None:
    examples = [varied_example(encoder, TASK, sample_of(GOLD), clip, BARE, seed) for seed in SEEDS]
    frames = [source_frames(example) for example in examples]
    assert {len(answer(tokenizer, example)) for example in examples} == {1, 2, 3}
    assert len({len(f) for f in frames}) > 8
    assert len({f[0] for f in frames}) > 5
    assert len({f[-1] for f in frames}) > 8
    left = [e.encoded.pixels_THWC[0, source_frames(e)[0], 0, 0].item() for e in examples]
    right = [e.encoded.pixels_THWC[0, source_frames(e)[0], -1, 0].item() for e in examples]
    assert 15 < sum(a > b for a, b in zip(left, right, strict=True)) < 45


def test_a_variation_is_a_pure_function_of_its_seed(encoder: Any, clip: Clip) -> None:
    before = clip.pictures_THWC.clone()
    torch.manual_seed(1)
    first = varied_example(encoder, TASK, sample_of(GOLD), clip, POLICY, "7")
    torch.manual_seed(2)
    again = varied_example(encoder, TASK, sample_of(GOLD), clip, POLICY, "7")
    other = varied_example(encoder, TASK, sample_of(GOLD), clip, POLICY, "8")
    assert torch.equal(first.encoded.pixels_THWC, again.encoded.pixels_THWC)
    assert (first.answer_ids, first.dense) == (again.answer_ids, again.dense)
    assert first.encoded.token_ids == again.encoded.token_ids
    assert not torch.equal(first.encoded.pixels_THWC, other.encoded.pixels_THWC)
    assert torch.equal(clip.pictures_THWC, before)


def test_clips_whose_events_name_a_side_are_not_mirrored(encoder: Any, clip: Clip) -> None:
    for name in ("opening the LEFT drawer", "turning it clockwise"):
        gold = (Event(name, 0.3, 3.0),)
        for seed in SEEDS[:20]:
            shown = varied_example(encoder, TASK, sample_of(gold), clip, BARE, seed)
            row = shown.encoded.pixels_THWC[0, source_frames(shown)[0], :, 0]
            assert row[0] > row[-1]


def test_a_variation_of_a_long_clip_keeps_its_end(encoder: Any, tokenizer: Any, clip: Clip) -> None:
    """With `max_frames` reached, frames are further apart; none is cut off at the end."""
    policy = replace(BARE, max_frames=6)
    for seed in SEEDS[:20]:
        varied = varied_example(encoder, TASK, sample_of(GOLD), clip, policy, seed)
        frames = source_frames(varied)
        assert len(frames) <= 6
        names = {event.name for event in answer(tokenizer, varied)}
        last_end_s = max(
            e.end_s for e in GOLD if e.name.rstrip(".") in {n.rstrip(".") for n in names}
        )
        assert frames[-1] / DENSE_FPS >= last_end_s - 0.9


def test_events_that_overlap_stay_inside(encoder: Any, tokenizer: Any, clip: Clip) -> None:
    gold = (Event(QUERY[0], 0.2, 4.5), Event(QUERY[1], 0.5, 1.0))
    for seed in SEEDS[:30]:
        varied = varied_example(encoder, TASK, sample_of(gold), clip, BARE, seed)
        frames = source_frames(varied)
        times_s = shown_times(varied, frames)
        for event in answer(tokenizer, varied):
            assert 0 <= (event.start_s or 0) <= event.end_s <= times_s[-1] + 0.02


def test_thinned_frames_are_those_of_the_policy(clip: Clip) -> None:
    thin = thinned(clip, POLICY)
    assert thin.times_s == tuple(i / 4 for i in range(20))
    assert thin.pictures_THWC[:, :, 0, 0].argmax(dim=1).tolist() == list(range(0, 60, 3))
    assert thinned(thin, POLICY) is thin
    assert len(thinned(clip, FramePolicy(fps=4.0, max_frames=5)).times_s) == 5


def test_a_variation_that_is_too_long_gives_way_to_the_clip_itself(
    encoder: Any, clip: Clip
) -> None:
    sample = sample_of(GOLD)
    plain = plain_example(encoder, TASK, sample, thinned(clip, POLICY), POLICY)
    config = SFTConfig(augment=True, max_tokens=plain.num_tokens)
    kinds = set()
    for seed in SEEDS:
        example = one_example(encoder, TASK, sample, clip, POLICY, config, seed)
        assert example.num_tokens <= plain.num_tokens
        kinds.add(example.answer_ids == plain.answer_ids)
    assert kinds == {True, False}
    free = replace(config, max_tokens=10**6)
    longest = max(
        one_example(encoder, TASK, sample, clip, POLICY, free, seed).num_tokens for seed in SEEDS
    )
    assert longest > plain.num_tokens
