"""The micro-batches of every optimiser step, made ahead of it."""

import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch.utils.data import DataLoader, Dataset

from kairoscope.config import GRPOConfig, SFTConfig
from kairoscope.core import FramePolicy, Sample, Task
from kairoscope.models.chat import Encoder
from kairoscope.train.clips import Clips
from kairoscope.train.examples import Clip, Example, plain_example, thinned, varied_example
from kairoscope.train.group import ALONE, Group
from kairoscope.train.micro import MicroBatch, micro_batches
from kairoscope.train.mixing import Strata, batch_indices, everything

Item = TypeVar("Item", covariant=True)
MAKERS = 2
"""Threads, each of which makes a step's samples: while one decodes, the other goes on."""


class Items(Protocol[Item]):
    """What is made for every step: a function of the step."""

    @property
    def config(self) -> SFTConfig | GRPOConfig: ...  # noqa: D102
    def __getitem__(self, step: int) -> Item: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed(Dataset[list[MicroBatch]]):
    """Item i is what optimiser step i is given: it depends on i, not on where a run began."""

    encoder: Encoder
    task: Task[Any, Any]
    samples: Sequence[Sample[Any, Any]]
    store: Clips
    policy: FramePolicy
    config: SFTConfig
    group: Group = ALONE
    strata: Strata = ()
    """Who comes how often; empty: every sample once an epoch."""

    def __getitem__(self, step: int) -> list[MicroBatch]:
        """This process's micro-batches of a step, shortest samples first. Raises UnreadableClip."""
        config = self.config
        strata = self.strata or everything(len(self.samples))
        indices = batch_indices(strata, config.seed, config.batch_size, step)
        examples = []
        for place, index in self.group.share(list(enumerate(indices))):
            sample = self.samples[index]
            seed = f"{self.config.seed}/{step}/{place}"
            clip = self.store.get(sample)
            examples.append(
                one_example(self.encoder, self.task, sample, clip, self.policy, self.config, seed)
            )
        examples.sort(key=lambda example: example.num_tokens)
        pack_tokens = config.pack_tokens if config.packing else None
        return micro_batches(examples, config.micro_batch_size, self.encoder.geometry, pack_tokens)


def ahead(feed: Items[Item], first_step: int, steps: int) -> Generator[Item, None, None]:
    """The items of steps `first_step` to `steps - 1`, in order, each made before it is asked for.

    In a thread, or in `config.feed_workers` processes, which share the clips in memory. Close the
    iterator to end them.
    """
    order = range(first_step, steps)
    workers = feed.config.feed_workers
    return _from_processes(feed, order, workers) if workers else _from_a_thread(feed, order)


def _from_a_thread(feed: Items[Item], order: Sequence[int]) -> Generator[Item, None, None]:
    maker = ThreadPoolExecutor(MAKERS)
    try:
        waiting = [maker.submit(feed.__getitem__, step) for step in order[:MAKERS]]
        for step in order:
            ready = waiting.pop(0).result()
            if step + MAKERS <= order[-1]:
                waiting.append(maker.submit(feed.__getitem__, step + MAKERS))
            yield ready
    finally:
        maker.shutdown(cancel_futures=True)


def _from_processes(feed: Any, order: Sequence[int], workers: int) -> Generator[Any, None, None]:
    """Forked, so that no clip is copied."""
    loader: DataLoader[Any] = DataLoader(
        feed,
        sampler=order,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=2,
        multiprocessing_context="fork",
    )
    with warnings.catch_warnings():
        # The workers never touch what another thread of this process may hold at the fork.
        warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
        made: Iterator[Any] = iter(loader)
    yield from made


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
