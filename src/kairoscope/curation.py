"""What became of raw samples: which are trained on, which held out, why the rest is left out. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from kairoscope.core import Sample

Reason = Literal[
    "bad label",  # the row could not be read
    "no answer",  # there is nothing to learn from
    "unreadable clip",
    "wrong duration",  # the labels speak of another clip than the one that is there
    "outside the clip",  # an event ends after the clip does
    "too short",  # an event is shorter than a frame
    "duplicate",  # the same pictures, question and answer under another name
    "conflict",  # the same pictures and question, but another answer
    "too long",  # more tokens than the model may see
    "over the cap",  # the scenario has enough samples
]


class ClipFacts(Protocol):
    """What has to be known about a clip; `kairoscope.video.clip.ClipInfo` has it."""

    @property
    def duration_s(self) -> float: ...  # noqa: D102
    @property
    def num_frames(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def codec(self) -> str: ...  # noqa: D102


AnySample = TypeVar("AnySample", bound=Sample[Any, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """One sample that was left out."""

    sample_id: str
    """Or where the row stands that could not be read."""
    reason: Reason
    detail: str


@dataclass(frozen=True, kw_only=True)
class Curation(Generic[AnySample]):
    """What came of the samples: `n_in == len(train) + len(held_out) + len(drops)`."""

    n_in: int
    train: tuple[AnySample, ...]
    held_out: tuple[AnySample, ...]
    drops: tuple[Drop, ...]
    holdout: float
    seed: int
    facts: Mapping[str, ClipFacts]
    """Id of every kept sample -> its clip."""
    hashes: Mapping[str, str]
    """Id of every kept sample -> SHA-256 of its clip's bytes, in hexadecimal."""
    remarks: tuple[str, ...] = ()
    """On rows that are used all the same."""

    @property
    def kept(self) -> tuple[AnySample, ...]:
        """Train and held-out samples."""
        return self.train + self.held_out

    def manifest(self) -> dict[str, Any]:
        """All of it as JSON: counts, reasons, and every kept clip with its checksum."""
        return {
            "version": 1,
            "seed": self.seed,
            "holdout": self.holdout,
            "n_in": self.n_in,
            "n_train": len(self.train),
            "n_held_out": len(self.held_out),
            "n_dropped": len(self.drops),
            "dropped": dict(sorted(Counter(drop.reason for drop in self.drops).items())),
            "drops": [asdict(drop) for drop in self.drops],
            "remarks": list(self.remarks),
            "clips": [
                self._row(sample, split)
                for split, samples in (("train", self.train), ("held_out", self.held_out))
                for sample in samples
            ],
        }

    def _row(self, sample: AnySample, split: str) -> dict[str, Any]:
        clip = self.facts[sample.id]
        return {
            "id": sample.id,
            "video": str(sample.video),
            "sha256": self.hashes[sample.id],
            "split": split,
            "group": sample.group,
            "scenario": sample.scenario,
            "duration_s": clip.duration_s,
            "num_frames": clip.num_frames,
            "width": clip.width,
            "height": clip.height,
            "codec": clip.codec,
        }
