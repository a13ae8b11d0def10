"""Which labels a model contradicts, and how sure it is of that. Pure.

A label is wrong where somebody slipped, or right where the model does not see what they saw: this says which to
look at first, by the probability that the model gives to the label (as confident learning does: Northcutt et al.,
2021). The model must not have learned these labels, and is heard only where it is nearer to them than a constant.

Models are surer than they are right. So the distributions of every slot are flattened by one temperature (Guo et
al., 2017), the one under which the labels are likeliest; the tenth that fits worst is left out of that, because
wrong labels are in it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from kairoscope.answers.slots import said, shown_choice
from kairoscope.core import Record, Task

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    Floats = NDArray[float64]

SURE = 0.1
"""A label with less support than this is contradicted with high confidence."""
NEARER = 0.9
"""Share of a constant answer's error that a model's may be at most, to be listened to."""
FEWEST = 20
"""Clips of a slot from which on it can be told whether the model knows anything of it."""
TEMPERATURES = tuple(1.08**step for step in range(40))
"""From 1 (the model is right about how sure it is) to 20; nothing is ever sharpened."""
LEFT_OUT = 0.1
"""Share of the labels, those that fit worst, by which no temperature is chosen."""
TINY = 1e-6
"""Probabilities are kept with six decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One label beside what the model says instead."""

    sample_id: str
    video: str
    scenario: str
    slot: str
    label: str
    answer: str
    """The likeliest value; of values in order, the median."""
    support: float
    """Probability of the label; of values in order, of the label or one still farther off."""
    is_off: bool
    """The answer is another one than the label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSummary:
    """What a model knows of one slot of the answers."""

    slot: str
    num_clips: int
    right: float
    """Share of labels that it says."""
    commonest: float
    """Share of the commonest label."""
    knows: bool
    """Nearer to the labels than a constant, so that what it contradicts is worth a look."""
    temperature: float
    """By which its distributions were flattened; 1 where it was as sure as it was right."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A label and what an answer says in its slot."""

    record: Record
    slot: str
    choices: Sequence[str]
    label: int
    """Place among the choices."""
    shares: Sequence[float]


def label_doubts(
    task: Task[Any, Any], records: Iterable[Record]
) -> tuple[list[Doubt], list[SlotSummary]]:
    """Every label with its support, the least supported first, and what is known of each slot.

    Labels of slots of which the model knows nothing are left out, as are answers without distributions.
    Trials of a clip are averaged.
    """
    slots: dict[str, list[_Said]] = defaultdict(list)
    for record in records:
        for one in _of_record(task, record):
            slots[one.slot].append(one)
    kept: list[Doubt] = []
    summaries: list[SlotSummary] = []
    for slot, found in slots.items():
        in_order = is_in_order(found[0].choices)
        temperature = fitted_temperature([(one.shares, one.label) for one in found])
        by_clip: dict[str, list[Doubt]] = defaultdict(list)
        for one in found:
            by_clip[one.record.sample_id].append(_doubt(one, temperature, in_order=in_order))
        means = [_mean(trials) for trials in by_clip.values()]
        summaries.append(_summary(slot, means, temperature, in_order=in_order))
        if summaries[-1].knows:
            kept += means
    return sorted(kept, key=lambda d: (d.support, d.sample_id, d.slot)), summaries


def contradicted(doubts: Sequence[Doubt]) -> list[Doubt]:
    """Those against which the model speaks with high confidence."""
    return [doubt for doubt in doubts if doubt.support < SURE and doubt.is_off]


def _of_record(task: Task[Any, Any], record: Record) -> Iterator[_Said]:
    if record.gold is None or not record.posteriors or isinstance(record.query, dict):
        return  # a query with parts of its own is not read back
    query = tuple(record.query) if isinstance(record.query, list) else record.query
    times_s = record.frame_times_s
    gold = task.snap(task.from_json(record.gold), times_s)
    labels = said(task.template(query, times_s), task.render(query, gold)) or {}
    for posterior in record.posteriors:
        slot, choices = str(posterior["slot"]), list(posterior["choices"])
        label = labels.get(slot)
        if label in choices:
            yield _Said(record, slot, choices, choices.index(label), posterior["probabilities"])


def _doubt(one: _Said, temperature: float, *, in_order: bool) -> Doubt:
    shares = [float(share) for share in flattened([one.shares], temperature)[0]]
    support, answer = support_of(shares, one.label, in_order=in_order)
    return Doubt(
        sample_id=one.record.sample_id,
        video=one.record.video,
        scenario=one.record.scenario,
        slot=one.slot,
        label=shown_choice(one.choices[one.label]),
        answer=shown_choice(one.choices[answer]),
        support=support,
        is_off=answer != one.label,
    )


def flattened(shares: Sequence[Sequence[float]], temperature: float) -> list[Floats]:
    """Distributions to the power 1 / temperature, each summing to 1 again."""
    import numpy as np

    powers = [np.maximum(np.asarray(row, float), TINY) ** (1 / temperature) for row in shares]
    return [row / row.sum() for row in powers]


def fitted_temperature(seen: Sequence[tuple[Sequence[float], int]]) -> float:
    """The temperature under which labels are likeliest, of (distribution, place of the label)."""
    import numpy as np

    counted = max(1, round(len(seen) * (1 - LEFT_OUT)))

    def likelihood(temperature: float) -> float:
        rows = flattened([shares for shares, _ in seen], temperature)
        logs = sorted(np.log([row[label] for row, (_, label) in zip(rows, seen, strict=True)]))
        return fmean(logs[-counted:])

    return max(TEMPERATURES, key=likelihood)


def is_in_order(choices: Sequence[str]) -> bool:
    """Whether the choices are rising numbers, as scores and times are."""
    try:
        numbers = [float(shown_choice(choice)) for choice in choices]
    except ValueError:
        return False
    return len(numbers) > 2 and all(a < b for a, b in pairwise(numbers))


def support_of(shares: Sequence[float], label: int, *, in_order: bool) -> tuple[float, int]:
    """(support of the label, place of the model's own answer). Shares sum to 1."""
    if not in_order:
        answer = max(range(len(shares)), key=lambda place: shares[place])
        return shares[label], answer
    up_to = list(accumulate(shares))
    answer = next((i for i, total in enumerate(up_to) if total >= 0.5), len(shares) - 1)
    if label == answer:
        return 1.0, answer
    return (sum(shares[label:]) if label > answer else up_to[label]), answer


def _mean(trials: Sequence[Doubt]) -> Doubt:
    commonest = Counter(doubt.answer for doubt in trials).most_common(1)[0][0]
    first = next(doubt for doubt in trials if doubt.answer == commonest)
    return replace(first, support=fmean(doubt.support for doubt in trials))


def _summary(
    slot: str, doubts: Sequence[Doubt], temperature: float, *, in_order: bool
) -> SlotSummary:
    counts = Counter(doubt.label for doubt in doubts)
    commonest = max(counts.values()) / len(doubts)
    right = sum(not doubt.is_off for doubt in doubts) / len(doubts)
    if in_order:
        numbers = [float(doubt.label) for doubt in doubts]
        constant = median(numbers)
        off = fmean(abs(float(doubt.answer) - float(doubt.label)) for doubt in doubts)
        knows = off < NEARER * fmean(abs(number - constant) for number in numbers)
    else:
        knows = 1 - right < NEARER * (1 - commonest)
    return SlotSummary(
        slot=slot,
        num_clips=len(doubts),
        right=right,
        commonest=commonest,
        knows=knows and len(doubts) >= FEWEST,
        temperature=temperature,
    )
