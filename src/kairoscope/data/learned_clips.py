"""Which clips a checkpoint was trained on, where they were few: it must not be judged by those.

A model that has learned three demonstrations by heart finds their boundaries, and says so. Whether
it finds any others is another matter.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kairoscope.core import UnreadableClip
from kairoscope.data.clips import hash_clip
from kairoscope.storage import read_json

LEARNED = "learned_clips"
"""In a checkpoint's `kairoscope.json`: hashes of the clips' files."""
NOTES = "kairoscope.json"
MOST_NAMED = 200
"""Of more clips none is named: a few labelled ones among them hardly flatter the model."""


def hashes_of(videos: Sequence[Path]) -> tuple[str, ...]:
    """Of the files that can be read; empty where there are more than 200."""
    found = []
    for video in videos if len(videos) <= MOST_NAMED else ():
        with suppress(UnreadableClip):
            found.append(hash_clip(video)[:16])
    return tuple(sorted(set(found)))


def learned_by(model: str) -> frozenset[str]:
    """What the checkpoint in a folder says; empty for any other model."""
    notes = Path(model) / NOTES
    row = read_json(notes) if notes.is_file() else {}
    found = row.get(LEARNED, []) if isinstance(row, dict) else []
    return frozenset(str(one) for one in found) if isinstance(found, list) else frozenset()
