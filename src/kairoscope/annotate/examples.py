"""Labelled episodes of a dataset as a prior for the others, and which to label first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kairoscope.events import Event, Query
from kairoscope.posteriors import quantile_s
from kairoscope.prior import Demonstration
from kairoscope.prior_distribution import time_priors
from kairoscope.robot.columns import Floats


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled episode."""

    clip: str
    group: str
    end_s: tuple[float, ...]
    """Of every event of the query."""
    duration_s: float


def examples_in(rows: Sequence[Mapping[str, object]]) -> list[Example]:
    """The episodes whose rows have a label for every event."""
    found = []
    for row in rows:
        labels, times_s = row.get("labels"), row.get("times_s")
        if isinstance(labels, list) and isinstance(times_s, list) and labels and all(labels):
            ends = tuple(float(label[1]) for label in labels)
            group = str(row.get("source") or row["clip"])
            found.append(Example(str(row["clip"]), group, ends, float(times_s[-1])))
    return found


def prior_for(
    query: Query, examples: Sequence[Example], clip: str, group: str, times_s: Floats
) -> list[tuple[Floats, str]]:
    """(probabilities of each frame, in words) of every event's end, from the other examples.

    Empty where there are none: order alone places nothing.
    """
    others = [e for e in examples if e.clip != clip and e.group != group and e.duration_s > 0]
    duration_s = float(times_s[-1])
    if not others or duration_s <= 0:
        return []
    demonstrations = [
        Demonstration(
            id=example.clip,
            group=example.group,
            scenario="",
            query=query,
            gold=tuple(Event(n, None, t) for n, t in zip(query, example.end_s, strict=True)),
            duration_s=example.duration_s,
        )
        for example in others
    ]
    priors = time_priors(query, demonstrations, duration_s)
    told = f"labelled demonstration{'s' if len(others) > 1 else ''}"
    found = []
    for place in range(len(query)):
        density = priors[f"end {place + 1}"].probabilities(times_s)
        middle_s = quantile_s(times_s.tolist(), density.tolist(), 0.5)
        found.append((density, f"{middle_s:.2f} s, from {len(others)} {told}"))
    return found


def label_first(durations_s: Mapping[str, float], have: Sequence[str], wanted: int) -> list[str]:
    """Which episodes to label so that `wanted` are, in order: they stand for all by their lengths.

    The episodes in order of length are cut into `wanted` equal parts, and the middle one of each
    part that has no labelled episode is taken: one example is the typical demonstration, three are
    a short one, a typical one and a long one.

    Args:
        durations_s: of every episode that can be read.
        have: labelled ones.
        wanted: how many examples there shall be.
    """
    ordered = sorted(durations_s, key=lambda name: (durations_s[name], name))
    missing = wanted - len(have)
    if missing <= 0 or not ordered:
        return []
    parts = [part.tolist() for part in np.array_split(np.arange(len(ordered)), wanted)]
    parts = [part for part in parts if part]
    labelled = set(have)
    free = [p for p in parts if not labelled & {ordered[i] for i in p}]
    first = [
        ordered[p[len(p) // 2]]
        for p in sorted(free, key=lambda p: abs(p[0] + p[-1] - len(ordered) + 1))
    ]
    rest = [name for name in ordered if name not in labelled and name not in first]
    return [*first, *rest][:missing]
