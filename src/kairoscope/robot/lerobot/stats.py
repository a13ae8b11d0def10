"""Statistics of the column `subtask_index`, in the shape that LeRobot keeps for every number."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEYS = ("min", "max", "mean", "std", "count")
"""What LeRobot keeps for every feature; newer files have quantiles, too."""
LIKE = ("task_index", "frame_index", "timestamp", "index", "episode_index")
"""Numbers whose statistics a file may already hold: those of `subtask_index` get the same keys."""
Counts = NDArray[np.int64]
"""How many frames have each index, from 0."""


def keys_like(known: Mapping[str, Any]) -> Sequence[str]:
    """Keys that the statistics of a similar number have; `known` is by feature."""
    for name in LIKE:
        if isinstance(known.get(name), Mapping):
            return [key for key in known[name] if key in KEYS or _quantile(key) is not None]
    return KEYS


def _quantile(key: str) -> float | None:
    """`q01` -> 0.01."""
    return int(key[1:]) / 100 if key[:1] == "q" and key[1:].isdecimal() else None


def stats_of(counts: Counts, keys: Sequence[str]) -> dict[str, list[Any]]:
    """Statistics of frames of which `counts[i]` have the index i, each as a list of one.

    Quantiles are values that occur: an index between two subtasks would name neither.
    """
    indices = np.flatnonzero(counts)
    weights = counts[indices]
    total = int(weights.sum())
    mean = float((indices * weights).sum() / total)
    variance = float((((indices - mean) ** 2) * weights).sum() / total)
    found: dict[str, Any] = {
        "min": int(indices[0]),
        "max": int(indices[-1]),
        "mean": mean,
        "std": float(np.sqrt(variance)),
        "count": total,
    }
    below = np.cumsum(weights) / total
    for key in keys:
        share = _quantile(key)
        if share is not None:
            place = min(int(np.searchsorted(below, share)), len(indices) - 1)
            found[key] = float(indices[place])
    return {key: [found[key]] for key in keys if key in found}


def total(counts: Sequence[Counts]) -> Counts:
    """Counts of all episodes together."""
    width = max((len(one) for one in counts), default=0)
    summed = np.zeros(width, dtype=np.int64)
    for one in counts:
        summed[: len(one)] += one
    return summed
