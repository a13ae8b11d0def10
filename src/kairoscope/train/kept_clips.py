"""Clips of a training run that are kept on disk between epochs and runs.

With a vision tower that is not trained, what it says of a clip is kept: epochs after the first
neither decode nor run it. With one that is, or with augmentation, decoded pictures are kept.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from kairoscope.config import SFTConfig
from kairoscope.core import FramePolicy, Sample, UserError
from kairoscope.data.tracks import HandTrack
from kairoscope.models.checkpoint import Checkpoint
from kairoscope.models.forward import Seen
from kairoscope.train.clips import ClipStore
from kairoscope.train.disk_cache import DiskCache, key_of, weights_digest
from kairoscope.train.examples import Clip

AnySample = Sample[Any, Any]


class KeptPictures(ClipStore):
    """A `ClipStore` whose decoded pictures are on disk too: no epoch but the first decodes."""

    def __init__(self, cache: DiskCache, *args: Any, **kwargs: Any) -> None:
        """As `ClipStore`, with the cache first."""
        super().__init__(*args, **kwargs)
        self.cache = cache

    def key(self, sample: AnySample) -> str:
        """Of a sample's clip. Raises UnreadableClip where its file cannot be read."""
        about = {"policy": asdict(self.policy), "geometry": asdict(self.geometry)}
        return key_of(kind="pictures", clip=self.cache.clip_digest(sample.video), **about)

    def decode(self, sample: AnySample) -> Clip:
        """Pictures of a sample's clip, from the cache or from its file. Raises UnreadableClip."""
        key = self.key(sample)
        entry = self.cache.get(key)
        if entry is not None:
            times_s = tuple(entry.notes["times_s"])
            return self.received(sample, entry.tensors["pictures"].numpy(), times_s)
        clip = super().decode(sample)
        self.cache.put(key, {"pictures": clip.pictures_THWC}, {"times_s": clip.times_s})
        return clip


class KeptFeatures:
    """Clips as the vision tower saw them, from disk; those that are not there yet as pictures."""

    def __init__(
        self,
        cache: DiskCache,
        pictures: ClipStore,
        checkpoint: Checkpoint,
        policy: FramePolicy,
        config: SFTConfig,
    ) -> None:
        """Take what is not on disk from `pictures`."""
        self.cache = cache
        self.pictures = pictures
        self.policy = policy
        self.geometry = checkpoint.encoder.geometry
        self.tracks: Mapping[str, HandTrack] = pictures.tracks
        self._about = {
            "kind": "features",
            "policy": asdict(policy),
            "geometry": asdict(checkpoint.encoder.geometry),
            "tower": weights_digest(checkpoint.network.model.visual),
            "dtype": config.dtype,
        }

    def key(self, sample: AnySample) -> str:
        """Of a sample's clip. Raises UnreadableClip where its file cannot be read."""
        return key_of(clip=self.cache.clip_digest(sample.video), **self._about)

    def get(self, sample: AnySample) -> Clip:
        """A sample's clip as it is kept. Raises UserError where it is not, or not any more."""
        key = self.key(sample)
        entry = self.cache.get(key)
        if entry is None:
            raise UserError(
                f"{self.cache.path(key)}: gone or damaged since the run has begun; run the same "
                "command again, which makes it anew"
            )
        deep = sorted(name for name in entry.tensors if name.startswith("deep."))
        seen = Seen(
            features_ND=entry.tensors["features"],
            deep_KND=tuple(entry.tensors[name] for name in deep),
        )
        return self._clip(sample, entry.notes, seen)

    def decode(self, sample: AnySample) -> Clip:
        """For the check before the first step: what is on disk is not decoded again."""
        key = self.key(sample)
        notes = self.cache.notes(key) if self.cache.has(key) else None
        if notes is None:
            return self.pictures.decode(sample)
        nothing = torch.empty((0, 0))
        return self._clip(sample, notes, Seen(features_ND=nothing))

    def _clip(self, sample: AnySample, notes: Mapping[str, Any], seen: Seen) -> Clip:
        times_s = tuple(notes["times_s"])
        track = self.tracks.get(sample.id)
        # Of the pictures only their size is asked for; these take no memory.
        blank = torch.zeros((), dtype=torch.uint8).expand(*notes["pictures"])
        return Clip(
            pictures_THWC=blank, times_s=times_s, hand=track and track.at(times_s), seen=seen
        )

    def keep(self, sample: AnySample, clip: Clip) -> None:
        """Hold pictures in memory until the tower has seen them."""
        if clip.seen is None:
            self.pictures.keep(sample, clip)

    def received(self, sample: AnySample, pictures_THWC: Any, times_s: tuple[float, ...]) -> Clip:
        """See `ClipStore.received`."""
        return self.pictures.received(sample, pictures_THWC, times_s)

    @property
    def full(self) -> bool:
        """See `ClipStore.full`."""
        return self.pictures.full

    def bytes_per_token(self, network: Any) -> int:
        """On disk, of a vision token."""
        deep = getattr(network.config.vision_config, "deepstack_visual_indexes", None) or ()
        width = int(network.config.get_text_config().hidden_size)
        return width * (1 + len(deep)) * (2 if self._about["dtype"] == "bfloat16" else 4)

    def write(self, sample: AnySample, clip: Clip, seen: Seen) -> int:
        """Put what the tower says of a clip on disk; returns its bytes."""
        tensors = {"features": seen.features_ND}
        tensors |= {f"deep.{i:03d}": layer for i, layer in enumerate(seen.deep_KND)}
        notes = {"times_s": clip.times_s, "pictures": list(clip.pictures_THWC.shape)}
        self.cache.put(self.key(sample), tensors, notes)
        return sum(t.numel() * t.element_size() for t in tensors.values())


def store_for(
    checkpoint: Checkpoint,
    policy: FramePolicy,
    config: SFTConfig,
    out: Path,
    *,
    limit_bytes: int,
    tracks: Mapping[str, HandTrack] | None = None,
) -> ClipStore | KeptFeatures:
    """Where a run has its clips from.

    Args:
        checkpoint: before training: its tower's weights are part of what features depend on.
        policy: frames that the model sees.
        config: `cache`, `cache_folder`, and what decides whether the tower is trained.
        out: folder of the run.
        limit_bytes: of pictures in memory.
        tracks: sample id -> what its hand does.
    """
    options: dict[str, Any] = {
        "dense": config.augment,
        "limit_bytes": limit_bytes,
        "tracks": tracks,
    }
    geometry = checkpoint.encoder.geometry
    if not config.cache:
        return ClipStore(policy, geometry, **options)
    folder = Path(config.cache_folder).expanduser() if config.cache_folder else out / "cache"
    cache = DiskCache(folder)
    frozen = config.lora is not None or config.freeze_vision
    if config.augment or not frozen:
        return KeptPictures(cache, policy, geometry, **options)
    pictures = ClipStore(policy, geometry, **options)
    return KeptFeatures(cache, pictures, checkpoint, policy, config)
