"""Every clip of a training run is decoded and looked at before the first step."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from kairoscope.core import Sample, UnreadableClip
from kairoscope.train.clips import Clips
from kairoscope.train.examples import Clip
from kairoscope.train.group import ALONE, Group

MANY_CORES = 6
"""From here on processes decode; on fewer cores threads are as fast, and cost no memory."""
START_METHODS = multiprocessing.get_all_start_methods()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A sample that cannot be trained on, and why."""

    sample_id: str
    reason: str


Examine = Callable[[Sample[Any, Any], Clip], str | None]
Look = Callable[[Sample[Any, Any]], tuple[Clip | None, str | None]]


def survey(
    store: Clips,
    samples: Sequence[Sample[Any, Any]],
    examine: Examine,
    on_progress: Callable[[int, int], None] | None = None,
    group: Group = ALONE,
) -> tuple[list[Sample[Any, Any]], list[Rejected]]:
    """Decode every clip once and look at it; in several processes, each does its share.

    Args:
        store: decodes; clips of good samples stay in it as far as there is room.
        samples: what shall be trained on.
        examine: a reason to reject the sample, or None.
        on_progress: called with (done, all).
        group: processes that have the same samples. A collective call.

    Returns:
        The good samples in their order, and the others with reasons.
    """
    found: list[str | None] = []
    with closing(looks(store, group.share(samples), examine)) as reasons:
        for reason in reasons:
            found.append(reason)
            if on_progress is not None:
                on_progress(min(len(samples), len(found) * group.size), len(samples))
    judged = list(zip(samples, group.merged(found), strict=True))
    good = [sample for sample, reason in judged if reason is None]
    bad = [Rejected(sample_id=sample.id, reason=why) for sample, why in judged if why is not None]
    return good, bad


def looks(
    store: Clips, samples: Sequence[Sample[Any, Any]], examine: Examine
) -> Generator[str | None, None, None]:
    """What is wrong with each sample, in order; decoded clips are left in the store.

    In threads, or on a machine with many cores in processes: what is not decoding takes turns in
    threads. Close the iterator to give up the rest, as after Ctrl-C.
    """

    def look(sample: Sample[Any, Any]) -> tuple[Clip | None, str | None]:
        try:
            clip = store.decode(sample)
            return clip, examine(sample, clip)
        except UnreadableClip as error:
            return None, str(error)

    cores = os.cpu_count() or 1
    in_processes = cores >= MANY_CORES and len(samples) > cores and "fork" in START_METHODS
    pool = _forked(look, cores - 1) if in_processes else ThreadPoolExecutor(max(2, cores))
    work = _in_child if in_processes else look
    waiting: deque[Future[tuple[Any, str | None]]] = deque()
    coming = iter(samples)
    try:
        waiting.extend(pool.submit(work, sample) for sample in islice(coming, 3 * cores))
        for sample in samples:
            clip, reason = waiting.popleft().result()
            waiting.extend(pool.submit(work, following) for following in islice(coming, 1))
            if clip is not None and reason is None and not store.full:
                store.keep(
                    sample, clip if isinstance(clip, Clip) else store.received(sample, *clip)
                )
            yield reason
    finally:
        pool.shutdown(cancel_futures=True)


_look: list[Look] = []
"""What a forked child was given to do."""


def _forked(look: Look, workers: int) -> ProcessPoolExecutor:
    """Children that share what this process knows; nothing has to be sent to them."""
    _look[:] = [look]
    return ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("fork"),
        initializer=torch.set_num_threads,
        initargs=(1,),
    )


def _in_child(sample: Sample[Any, Any]) -> tuple[tuple[Any, tuple[float, ...]] | None, str | None]:
    """Pictures as an array: tensors would each need an open file to be sent."""
    clip, reason = _look[0](sample)
    if clip is not None and clip.seen is not None:
        return None, reason  # on disk already: there is nothing to hand over
    sent = clip and (clip.pictures_THWC.numpy(), clip.times_s)
    return sent or None, reason
