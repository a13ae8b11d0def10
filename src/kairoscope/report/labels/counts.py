"""How often each label comes, in every slot of the answers: what is rare is hardly learned. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kairoscope.answers.slots import said, shown_choice
from kairoscope.core import Sample, Slot, Task
from kairoscope.report.blocks import Block, Bullets, Cell, Heading, Paragraph, Table
from kairoscope.report.figures import counted

Counts = dict[str, dict[str, int]]
"""Slot -> label -> samples, in the order of the grammar."""
RARE = 3.0
"""A label that is this many times rarer than if all were equally frequent is named."""
ONE_SIDED = 0.8
"""From this share of the commonest label on, a field is said to be one-sided."""
MAX_VALUES = 12


def counts_by_slot(task: Task[Any, Any], samples: Iterable[Sample[Any, Any]]) -> Counts:
    """Of every slot that takes one of a closed list, whatever the clip; times are no such slots.

    Values that no label has are counted as 0.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    values: dict[str, dict[str, None]] = defaultdict(dict)
    for sample in samples:
        if sample.gold is None:
            continue
        template = task.template(sample.query, (0.0,))
        if not template or template != task.template(sample.query, (0.0, 1.0)):
            continue
        slots = {part.name: part.choices for part in template if isinstance(part, Slot)}
        for slot, choice in (said(template, task.render(sample.query, sample.gold)) or {}).items():
            values[slot] |= dict.fromkeys(map(shown_choice, slots[slot]))
            counts[slot][shown_choice(choice)] += 1
    return {slot: {value: counts[slot][value] for value in values[slot]} for slot in values}


def remarks(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What is so uneven that training or scores suffer, in words."""
    found = []
    for slot, by_value in counts.items():
        total, most = sum(by_value.values()), max(by_value.values())
        if not total:
            continue
        name = max(by_value, key=lambda value: by_value[value])
        missing = [value for value, n in by_value.items() if not n]
        rare = [v for v, n in by_value.items() if 0 < n < total / len(by_value) / RARE]
        if most >= ONE_SIDED * total:
            found.append(
                f"{spoken(slot)}: {most / total:.0%} are {name}; always saying so is right that often"
            )
        elif rare:
            words = ", ".join(f"{value} ({by_value[value]})" for value in rare)
            found.append(f"{spoken(slot)}: rare among {counted(total, 'label')}: {words}")
        if missing and len(by_value) > 2:
            found.append(f"{spoken(slot)}: no clip shows {', '.join(missing)}")
    return found


def spoken(slot: str) -> str:
    """The name of a slot as people read it."""
    return slot.replace("_", " ")


def count_blocks(train: Mapping[str, Mapping[str, int]]) -> list[Block]:
    """A table a slot of few values, or one for all, and what is uneven in it."""
    if not train:
        return []
    rows: list[Sequence[Cell]] = []
    for slot, by_value in train.items():
        total = sum(by_value.values())
        most = max(by_value, key=lambda value: by_value[value])
        shown = list(by_value.items())[:MAX_VALUES]
        words = ", ".join(f"{value}: {n}" for value, n in shown)
        rows.append([spoken(slot), words, f"{most}: {by_value[most] / total:.0%}", str(total)])
    uneven = remarks(train)
    return [
        Heading(3, "Labels"),
        Table(("What", "How often", "Commonest", "Labels"), rows, 3),
        *(
            [Bullets(uneven)]
            if uneven
            else [Paragraph("No label is so rare that training would hardly see it.")]
        ),
    ]
