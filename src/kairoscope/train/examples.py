"""From samples to training examples: the same input as at inference, the answer and its labels."""

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from kairoscope.core import FramePolicy, Sample, Task
from kairoscope.data.tracks import HandTrack
from kairoscope.events import normalised
from kairoscope.models.chat import Encoded, Encoder, encode, text_ids
from kairoscope.models.forward import Seen
from kairoscope.train.dense import dense_labels
from kairoscope.video.frames import stamped
from kairoscope.video.sampling import TIME_TOLERANCE_S, band_height, sample_indices

SPEEDS = (0.7, 1.45)
"""Range of the playback speed in augmentation."""
LEAST_TAIL_S = 0.3
SIDED = frozenset(("left", "right", "clockwise", "counterclockwise", "anticlockwise"))
"""Words in an event's name with which a clip is not mirrored."""
SOME_EVENTS = 0.3
"""Share of variations that ask about some of the events only."""
LATE_START = 0.35
"""Share of variations that begin somewhere before the first event's end. Where most did, first
events were answered too early."""
TRUE_CLOCK = 0.4
"""Share of variations at the clip's own speed that begin on a frame: their times fall on the same
regular grid as those of a clip that is not varied, which no other speed gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Decoded pictures of one clip, without stamps."""

    pictures_THWC: torch.Tensor
    times_s: tuple[float, ...]
    hand: HandTrack | None = None
    """What the hand does in every picture, where that is known."""
    seen: Seen | None = None
    """What the vision tower said of the stamped pictures, where that is kept: `pictures_THWC` then
    has their size and nothing in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One training example."""

    encoded: Encoded
    answer_ids: tuple[int, ...]
    """Tokens of the answer and of its end, the targets of the loss."""
    dense: tuple[tuple[int, int], ...]
    """(index of a vision token, token it should say) for the dense auxiliary loss."""
    seen: Seen | None = None
    """What the vision tower said of the clip, where that is kept; `encoded` has no pictures then."""

    @property
    def num_tokens(self) -> int:
        """Length of the whole sequence."""
        return len(self.encoded.token_ids) + len(self.answer_ids)


def thinned(clip: Clip, policy: FramePolicy) -> Clip:
    """The frames that the policy itself takes of a clip that is kept more densely, for augmentation.

    Of one that is kept as the policy samples it would take fewer: where the clip's rate is no multiple of
    the policy's, frames do not lie on the policy's instants.
    """
    if clip.seen is not None:
        return clip
    indices = list(sample_indices(clip.times_s, policy))
    if len(indices) == len(clip.times_s):
        return clip
    times_s = tuple(clip.times_s[index] for index in indices)
    return Clip(
        pictures_THWC=clip.pictures_THWC[indices],
        times_s=times_s,
        hand=clip.hand and clip.hand.take(indices, times_s),
    )


def plain_example(
    encoder: Encoder,
    task: Task[Any, Any],
    sample: Sample[Any, Any],
    clip: Clip,
    policy: FramePolicy,
) -> Example:
    """The example as it stands: the clip's sampled frames, the gold answer on their grid."""
    gold = task.snap(sample.gold, clip.times_s)
    return _example(encoder, task, sample.query, gold, clip, policy)


def varied_example(
    encoder: Encoder,
    task: Task[Any, Any],
    sample: Sample[Any, Any],
    clip: Clip,
    policy: FramePolicy,
    seed: str,
) -> Example:
    """A variation: other speed, trimmed ends, some of the events, other light, perhaps mirrored.

    Times can then not be guessed from the task, and the events must be found by what they are.
    The clip's pictures should be sampled more densely than the policy asks; the sample's answer
    is one event or more. A pure function of its arguments: `seed` decides everything.
    """
    rng = random.Random(seed)
    events: list[Any] = list(sample.gold or ())
    if rng.random() < SOME_EVENTS:
        kept = sorted(rng.sample(range(len(events)), rng.randint(1, len(events))))
        events = [_with_start(events, i) for i in kept]
    speed = math.exp(rng.uniform(math.log(SPEEDS[0]), math.log(SPEEDS[1])))
    first_s, last_s = min(e.end_s for e in events), max(e.end_s for e in events)
    trimmed = rng.random() < LATE_START
    start_s = rng.uniform(0, max(0.0, first_s - 0.6)) if trimmed else 0.0
    if rng.random() < TRUE_CLOCK:
        speed, start_s = 1.0, clip.times_s[bisect_right(clip.times_s, start_s) - 1]
    end_s = clip.times_s[-1]
    if rng.random() < 0.7:
        end_s = rng.uniform(min(end_s, last_s + LEAST_TAIL_S * speed), end_s)
    indices = _displayed(clip.times_s, start_s, end_s, speed, policy)
    times = tuple(max(0.0, (clip.times_s[i] - start_s) / speed) for i in indices)
    query = tuple(event.name for event in events)
    pictures = relit(clip.pictures_THWC[list(indices)], rng)
    hand = clip.hand and clip.hand.take(indices, times)
    if rng.random() < 0.5 and not _sided(query):
        pictures, hand = pictures.flip(2), hand and hand.mirrored()
    moved = [
        replace(
            event,
            start_s=None if event.start_s is None else max(0.0, (event.start_s - start_s) / speed),
            end_s=(event.end_s - start_s) / speed,
        )
        for event in events
    ]
    varied = Clip(pictures_THWC=pictures, times_s=times, hand=hand)
    return _example(encoder, task, query, task.snap(tuple(moved), times), varied, policy)


def _with_start(events: Sequence[Any], index: int) -> Any:
    """The event with its start written out, for when the one before it is left out."""
    if events[index].start_s is not None:
        return events[index]
    return replace(events[index], start_s=events[index - 1].end_s if index else 0.0)


def _displayed(
    times_s: Sequence[float], start_s: float, end_s: float, speed: float, policy: FramePolicy
) -> tuple[int, ...]:
    """Frames on display as the policy samples the varied clip; see `sample_indices`."""
    count = max(2, math.floor((end_s - start_s) / speed * policy.fps) + 1)
    step_s = speed / policy.fps
    if count > policy.max_frames:
        count, step_s = policy.max_frames, (end_s - start_s) / max(policy.max_frames - 1, 1)
    instants = [start_s + i * step_s for i in range(count)]
    shown = (max(0, bisect_right(times_s, instant + TIME_TOLERANCE_S) - 1) for instant in instants)
    return tuple(dict.fromkeys(shown))


def _sided(query: Sequence[str]) -> bool:
    """Whether names tell sides or turns apart, which a mirror would swap."""
    return any(word in SIDED for name in query for word in normalised(name).split())


def relit(pictures_THWC: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Pictures (uint8) in other brightness and contrast."""
    gain, shift = rng.uniform(0.8, 1.2), rng.uniform(-20, 20)
    table = ((torch.arange(256) - 128) * gain + 128 + shift).clamp(0, 255).to(torch.uint8)
    return torch.from_numpy(table.numpy()[pictures_THWC.numpy()])


def _example(
    encoder: Encoder,
    task: Task[Any, Any],
    query: Any,
    gold: Any,
    clip: Clip,
    policy: FramePolicy,
) -> Example:
    if clip.seen is None:
        pixels = stamped(clip.pictures_THWC, clip.times_s, policy, encoder.geometry)
    else:
        pixels = _blank(clip.pictures_THWC, policy, encoder)
    encoded = encode(encoder, task.prompt(query), pixels, clip.times_s, policy)
    answer = text_ids(encoder, task.render(query, gold) + "<|im_end|>")
    return Example(
        encoded=encoded,
        answer_ids=answer,
        dense=dense_labels(encoder, encoded, gold, clip),
        seen=clip.seen,
    )


def _blank(pictures_THWC: torch.Tensor, policy: FramePolicy, encoder: Encoder) -> torch.Tensor:
    """Something of the size of the stamped pictures that takes no memory."""
    num_frames, height, width, channels = pictures_THWC.shape
    band = band_height(height, policy, encoder.geometry)
    nothing = torch.zeros((), dtype=torch.uint8)
    return nothing.expand(num_frames, height + band, width, channels)
