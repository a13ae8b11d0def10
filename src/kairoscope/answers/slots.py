"""What a text says in every slot of a template: the grammar read backwards. Pure."""

from kairoscope.core import Slot, Template, Text


def said(template: Template, text: str) -> dict[str, str] | None:
    """Slot -> the choice that the text has there; None where the text is none of the grammar.

    Free words are skipped up to the literal that ends them. Of choices that begin alike, the longest.
    """
    found: dict[str, str] = {}
    place = 0
    for number, part in enumerate(template):
        if isinstance(part, str):
            if not text.startswith(part, place):
                return None
            place += len(part)
        elif isinstance(part, Slot):
            fitting = [choice for choice in part.choices if text.startswith(choice, place)]
            if not fitting:
                return None
            found[part.name] = max(fitting, key=len)
            place += len(found[part.name])
        else:
            place = _after(part, template[number + 1 : number + 2], text, place)
            if place < 0:
                return None
    return found if place == len(text) else None


def _after(_: Text, following: Template, text: str, place: int) -> int:
    """Where the words end: at the literal behind them, or with the text; -1 where it is missing."""
    if not following:
        return len(text)
    assert isinstance(following[0], str)
    return text.find(following[0], place)


def shown_choice(choice: str) -> str:
    """A choice as people read it: without the punctuation that ends its line."""
    return choice.strip().rstrip('",}\n ').strip()
