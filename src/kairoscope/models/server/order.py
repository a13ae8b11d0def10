"""Answers that keep to a server's constraint, and not to the order of times, which no regex says."""

import re
from collections.abc import Sequence
from dataclasses import replace

from kairoscope.core import Slot, Template, Text
from kairoscope.models.grammar import choices_regex, words_regex


def picks(template: Template, text: str) -> tuple[str, ...] | None:
    """The values in a text's slots; None where it is not the template's, whatever their order."""
    expression = "".join(
        re.escape(part)
        if isinstance(part, str)
        else words_regex(part)
        if isinstance(part, Text)
        else f"({choices_regex(part.choices)})"
        for part in template
    )
    match = re.fullmatch(expression, text)
    return None if match is None else match.groups()


def mended(template: Template, values: Sequence[str]) -> Template | None:
    """The template up to the first value that comes too early, and from there on without early ones.

    What stands before is fixed as it was written, so that an answer along the new template is drawn
    from the same distribution as one whose engine knew the order all along: the next value given
    what was written, among those that may follow. None where every value is in order.
    """
    slots = [part for part in template if isinstance(part, Slot)]
    for index, slot in enumerate(slots):
        if slot.not_before is None:
            continue
        least = slot.choices.index(values[slot.not_before])
        if slot.choices.index(values[index]) < least:
            return _fixed(template, values, index, least)
    return None


def _fixed(template: Template, values: Sequence[str], index: int, least: int) -> Template:
    """Slots before `index` as texts, that slot without the values before `least`."""
    parts: list[str | Slot | Text] = []
    number = 0
    for part in template:
        if isinstance(part, str | Text):
            parts.append(part)
            continue
        if number < index:
            parts.append(values[number])
        elif number == index:
            parts.append(replace(part, choices=part.choices[least:], not_before=None))
        else:
            parts.append(replace(part, not_before=None))
        number += 1
    return tuple(parts)
