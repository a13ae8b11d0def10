"""The examples of every optimiser step, made ahead of it."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, Task
from kairoscope.models.chat import Encoder
from kairoscope.train.clips import ClipStore
from kairoscope.train.examples import Clip, Example, plain_example, thinned, varied_example
from kairoscope.train.schedule import batches

READERS = 2
"""Threads that decode clips which are not in memory."""


def step_examples(
    encoder: Encoder,
    task: Task[Any, Any],
    samples: Sequence[Sample[Any, Any]],
    store: ClipStore,
    policy: FramePolicy,
    config: SFTConfig,
    first_step: int,
) -> Generator[list[Example], None, None]:
    """The examples of every step from `first_step` on, shortest first, without end.

    They are made one step ahead in a thread, and depend on the step, not on where a run began.
    Close the iterator to end the threads. Raises UnreadableClip where a clip has become unreadable.
    """

    def make(step: int, indices: Sequence[int]) -> list[Example]:
        chosen = [samples[index] for index in indices]
        examples = [
            one_example(
                encoder, task, sample, clip, policy, config, f"{config.seed}/{step}/{place}"
            )
            for place, (sample, clip) in enumerate(
                zip(chosen, readers.map(store.get, chosen), strict=True)
            )
        ]
        return sorted(examples, key=lambda example: example.num_tokens)

    order = enumerate(batches(config, len(samples), first_step), first_step)
    maker, readers = ThreadPoolExecutor(1), ThreadPoolExecutor(READERS)
    try:
        ahead = maker.submit(make, *next(order))
        for following in order:
            ready = ahead.result()
            ahead = maker.submit(make, *following)
            yield ready
    finally:
        maker.shutdown(cancel_futures=True)
        readers.shutdown()


def one_example(
    encoder: Encoder,
    task: Task[Any, Any],
    sample: Sample[Any, Any],
    clip: Clip,
    policy: FramePolicy,
    config: SFTConfig,
    seed: str,
) -> Example:
    """A sample as it stands, or with augmentation a variation of it.

    A slowed variation may be longer than `max_tokens`, which the sample itself is not; the sample
    as it stands then takes its place: nothing is ever cut.
    """
    if config.augment:
        varied = varied_example(encoder, task, sample, clip, policy, seed)
        if varied.num_tokens <= config.max_tokens:
            return varied
        clip = thinned(clip, policy)
    return plain_example(encoder, task, sample, clip, policy)
