"""Labels, signals, the model's answer and the prior as distributions over the frames of an episode. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kairoscope.annotate.combining import Evidence
from kairoscope.annotate.evidence import unpacked
from kairoscope.events import Query
from kairoscope.fusion import on_frames
from kairoscope.posteriors import confidence, quantile_s
from kairoscope.robot.columns import Floats

WRITTEN_SCALE_S = 0.5
"""How far a time that a model wrote without a distribution may be off, by 1/e."""


def evidence_of(
    query: Query,
    row: Mapping[str, Any],
    answer: Mapping[str, Any] | None,
    prior: Sequence[tuple[Floats, str]],
    times_s: Floats,
) -> list[list[Evidence]]:
    """What each source says about each event, the most trusted first.

    Args:
        query: event names, in order.
        row: of `signals.jsonl`.
        answer: of `answers.jsonl`, where the model was asked.
        prior: from `prior_for`.
        times_s: (T,) of the frames.
    """
    said: list[list[Evidence]] = []
    for place in range(len(query)):
        own: list[Evidence] = []
        if row["labels"][place] is not None:
            own.append(_labelled(row["labels"][place][1], row["labelled_by"], times_s))
        if row["signals"]:
            signal = row["signals"][place]
            own.append(
                Evidence(
                    source="signals",
                    probabilities_T=unpacked(signal["density"]),
                    reason=signal["reason"],
                    frame=signal["frame"],
                )
            )
        if answer is not None and (model := _answered(answer, place, query, times_s)):
            own.append(model)
        if prior:
            density, words = prior[place]
            own.append(Evidence(source="prior", probabilities_T=density, reason=words))
        said.append(own)
    return said


def _labelled(end_s: float, labelled_by: str, times_s: Floats) -> Evidence:
    frame = int(np.abs(times_s - end_s).argmin())
    density = np.zeros(len(times_s))
    density[frame] = 1.0
    who = {"human": "by hand", "unknown": "in the dataset"}.get(labelled_by, labelled_by)
    reason = f"{end_s:.2f} s, labelled {who}"
    return Evidence(source="label", probabilities_T=density, reason=reason, frame=frame)


def _answered(
    answer: Mapping[str, Any], place: int, query: Query, times_s: Floats
) -> Evidence | None:
    """The model's answer as a distribution over the frames of the episode."""
    slot = f"end {place + 1}"
    posterior = next((p for p in answer["posteriors"] if p["slot"] == slot), None)
    if posterior is not None:
        grid = [float(choice) for choice in posterior["choices"]]
        density = on_frames(grid, posterior["probabilities"], times_s)
        median_s = quantile_s(grid, posterior["probabilities"], 0.5)
        sure = confidence(grid, posterior["probabilities"], median_s)
        reason = f"{median_s:.2f} s ({sure:.0%} within 0.25 s)"
        return Evidence(source="model", probabilities_T=density, reason=reason)
    event = next((e for e in answer["events"] if e["event"] == query[place]), None)
    if event is None:
        return None
    weights = np.exp(-np.abs(times_s - event["end_s"]) / WRITTEN_SCALE_S)
    return Evidence(
        source="model",
        probabilities_T=weights / weights.sum(),
        reason=f"{event['end_s']:.2f} s, as written",
        frame=int(np.abs(times_s - event["end_s"]).argmin()),
    )
