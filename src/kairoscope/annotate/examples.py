"""Labelled episodes of a dataset as a prior for the others. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kairoscope.events import Event, Query
from kairoscope.posteriors import quantile_s
from kairoscope.prior import Demonstration
from kairoscope.prior_distribution import time_priors
from kairoscope.robot.columns import Floats

MOST_COMPARED = 12
"""Labelled episodes about which the model is asked, too, to see how far it can be believed."""


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


def compared(examples: Sequence[Example]) -> frozenset[str]:
    """The labelled episodes by which sources are judged, spread over all of them."""
    places = np.linspace(0, len(examples) - 1, min(len(examples), MOST_COMPARED)).round()
    return frozenset(examples[int(place)].clip for place in places)


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
