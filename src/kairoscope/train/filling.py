"""The first look at every clip that is to be kept on disk: planned, then done, once."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, Task, UnreadableClip, UserError
from kairoscope.data.tracks import HandTrack
from kairoscope.models.chat import films
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.models.forward import Seen, look
from kairoscope.train.check import why_unfit
from kairoscope.train.clips import Clips, available_bytes
from kairoscope.train.examples import Clip, Example, plain_example
from kairoscope.train.group import ALONE, Group
from kairoscope.train.kept_clips import KeptFeatures, KeptPictures, store_for
from kairoscope.train.survey import Rejected, survey
from kairoscope.video.clip import scan
from kairoscope.video.sampling import frame_size, sample_indices

SPARE_BYTES = 2**30
"""Left free on the disk, for checkpoints and whatever else writes there."""
DECODERS = 2
AnySample = Sample[Any, Any]
ExampleOf = Callable[[AnySample, Clip], Example]


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePlan:
    """What keeping clips will take, before it is spent."""

    folder: Path
    num_clips: int
    num_kept: int
    """Of them already on disk."""
    new_bytes: int
    free_bytes: int
    minutes: float | None = None
    """None: not timed yet."""

    def __str__(self) -> str:
        new = self.num_clips - self.num_kept
        if not new:
            return f"all {self.num_clips} clips are in {self.folder}"
        text = (
            f"{self.num_clips} clips, {self.num_kept} of them in {self.folder}; the other {new} take "
            f"{self.new_bytes / 1e9:.3g} GB (free: {self.free_bytes / 1e9:.0f} GB)"
        )
        if self.minutes is None:
            return text
        return f"{text} and about {float(f'{self.minutes:.2g}'):g} minutes"


def ready_clips(
    checkpoint: Checkpoint,
    task: Task[Any, Any],
    train: Sequence[AnySample],
    *,
    policy: FramePolicy,
    config: SFTConfig,
    out: Path,
    tracks: Mapping[str, HandTrack] | None = None,
    group: Group = ALONE,
    on_check: Callable[[int, int], None] | None = None,
    on_plan: Callable[[str], None] | None = None,
) -> tuple[Clips, list[AnySample], list[Rejected]]:
    """Look at every clip once, before the network is prepared for training.

    Returns:
        Where training has its clips from, the samples that can be trained on, and the others.
        With `config.cache` what is kept of all of them is on disk.

    Raises:
        UserError: the disk has not enough space for the cache.
    """
    encoder = checkpoint.encoder
    limit = available_bytes() / 4 if config.clips_gib is None else config.clips_gib * 2**30
    in_memory = int(limit / group.local_size)
    store = store_for(checkpoint, policy, config, out, limit_bytes=in_memory, tracks=tracks)
    planned = plan(store, train, checkpoint.network)
    if isinstance(store, KeptFeatures | KeptPictures) and group.is_first:
        store.cache.clear_leftovers()
    if isinstance(store, KeptPictures) and on_plan is not None:
        on_plan(str(planned))
    unfit = partial(why_unfit, encoder, task, policy, config)
    good, bad = survey(store, train, unfit, on_check, group)
    if isinstance(store, KeptFeatures) and planned is not None:

        def example_of(sample: AnySample, clip: Clip) -> Example:
            return plain_example(encoder, task, sample, clip, policy)

        mine = group.share(good)
        fill(store, checkpoint, mine, planned, example_of, config, on_plan, on_check)
        group.gathered(None)  # nobody trains before all clips are there
    return store, good, bad


def plan(store: Clips, samples: Sequence[AnySample], network: Any) -> CachePlan | None:
    """What is missing on disk and how much space it takes, without its minutes; None: no cache.

    Raises:
        UserError: there is not so much space.
    """
    if not isinstance(store, KeptFeatures | KeptPictures):
        return None
    kept = store
    missing: dict[str, int] = {}
    keys = set()
    for sample in samples:
        try:
            key = kept.key(sample)
            keys.add(key)
            if key not in missing and not kept.cache.has(key):
                missing[key] = _bytes(kept, sample, network)
        except UnreadableClip:
            continue  # the check before the first step lists it
    made = CachePlan(
        folder=kept.cache.folder,
        num_clips=len(keys),
        num_kept=len(keys) - len(missing),
        new_bytes=sum(missing.values()),
        free_bytes=kept.cache.free_bytes(),
    )
    if made.new_bytes and made.new_bytes + SPARE_BYTES > made.free_bytes:
        raise UserError(
            f"{made.folder}: keeping {len(missing)} clips takes {made.new_bytes / 1e9:.2f} GB and 1 GB "
            f"is to stay free, but {made.free_bytes / 1e9:.2f} GB are; name another cache_folder, or "
            "set cache = false"
        )
    return made


def _bytes(kept: KeptFeatures | KeptPictures, sample: AnySample, network: Any) -> int:
    """That a clip will take, from its container alone. Raises UnreadableClip."""
    found = scan(sample.video)
    policy = kept.policy
    geometry = kept.geometry
    count = len(sample_indices(found.times_s, policy))
    height, width = frame_size(found.info.width, found.info.height, count, policy, geometry)
    if isinstance(kept, KeptPictures):
        return count * height * width * 3
    cells = (height // geometry.unit_px) * (width // geometry.unit_px)
    return -(-count // geometry.temporal) * cells * kept.bytes_per_token(network)


def fill(
    kept: KeptFeatures,
    checkpoint: Checkpoint,
    samples: Sequence[AnySample],
    planned: CachePlan,
    example_of: ExampleOf,
    config: SFTConfig,
    on_plan: Callable[[str], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Let the vision tower see every clip that is not on disk yet.

    Args:
        kept: where it goes.
        checkpoint: gives the tower, which is not changed.
        samples: of this process.
        planned: for all of them.
        example_of: the example that training makes of a sample and its pictures.
        config: `dtype` is what the tower computes in.
        on_plan: told the plan with its minutes once the first clip has been timed.
        on_progress: called with (done, all).

    Raises:
        UserError: the disk has become full. What is done is kept, and the same command goes on.
    """
    say = on_plan or (lambda _: None)
    wanted = {kept.key(sample): sample for sample in samples}
    missing = [sample for key, sample in wanted.items() if not kept.cache.has(key)]
    if not missing:
        say(str(planned))
    started, written = time.perf_counter(), 0
    for number, (sample, clip, example) in enumerate(_decoded(kept, missing, example_of), 1):
        written += kept.write(sample, clip, see(checkpoint, example, config))
        if number == 1:
            rate = (time.perf_counter() - started) / max(1, written)
            say(str(replace(planned, minutes=rate * planned.new_bytes / 60)))
        if on_progress is not None:
            on_progress(number, len(missing))
    kept.pictures.release()


def _decoded(
    kept: KeptFeatures, samples: Sequence[AnySample], example_of: ExampleOf
) -> Iterator[tuple[AnySample, Clip, Example]]:
    """Clips with their examples, made while the tower looks at the ones before."""

    def make(sample: AnySample) -> tuple[AnySample, Clip, Example]:
        clip = kept.pictures.get(sample)
        return sample, clip, example_of(sample, clip)

    coming = iter(samples)
    waiting: deque[Future[tuple[AnySample, Clip, Example]]] = deque()
    pool = ThreadPoolExecutor(DECODERS)
    try:
        waiting.extend(pool.submit(make, sample) for sample in islice(coming, DECODERS))
        while waiting:
            ready = waiting.popleft().result()
            waiting.extend(pool.submit(make, sample) for sample in islice(coming, 1))
            yield ready
    finally:
        pool.shutdown(cancel_futures=True)


@torch.no_grad()
def see(checkpoint: Checkpoint, example: Example, config: SFTConfig) -> Seen:
    """What the tower says of one example, as training would compute it."""
    network, geometry = checkpoint.network, checkpoint.encoder.geometry
    bfloat16 = config.dtype == "bfloat16"
    kind = network.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=bfloat16, cache_enabled=False):
        return look(network, films([example.encoded], geometry), geometry)
