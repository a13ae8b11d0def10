"""Answers that keep to a server's constraint, and not to the order of times, which no regex says."""

import re
from collections.abc import Sequence
from dataclasses import replace

from kairoscope.core import Slot, Template, Text
from kairoscope.models.grammar import choices_regex, words_regex


def picks(template: Template, text: str) -> tuple[str, ...] | None:
    """What stands in a text's slots and free places, in order; None where it is not the template's.

    Whatever the order of times is.
    """
    match = re.fullmatch("".join(map(_group, template)), text)
    return None if match is None else match.groups()


def _group(part: str | Slot | Text) -> str:
    if isinstance(part, str):
        return re.escape(part)
    return f"({choices_regex(part.choices) if isinstance(part, Slot) else words_regex(part)})"


def mended(template: Template, values: Sequence[str]) -> Template | None:
    """The template up to the first value that comes too early, and from there on without early ones.

    What stands before is fixed as it was written, so that an answer along the new template is drawn
    from the same distribution as one whose engine knew the order all along: the next value given
    what was written, among those that may follow. None where every value is in order.
    """
    fixed: list[str | Slot | Text] = []
    written: list[int] = []
    waiting = iter(values)
    for place, part in enumerate(template):
        if isinstance(part, str):
            fixed.append(part)
            continue
        value = next(waiting)
        if isinstance(part, Slot):
            pick = part.choices.index(value)
            least = 0 if part.not_before is None else written[part.not_before]
            if pick < least:
                later = replace(part, choices=part.choices[least:], not_before=None)
                return (*fixed, later, *map(_free, template[place + 1 :]))
            written.append(pick)
        fixed.append(value)
    return None


def _free(part: str | Slot | Text) -> str | Slot | Text:
    """Without a reference to a slot that is a text by now; the order is looked at again."""
    return replace(part, not_before=None) if isinstance(part, Slot) else part
