r"""A template as a regular expression, for engines that take one, and the check of what comes back.

Pure: text in, text out. The expression uses only what xgrammar, llguidance, outlines and Python's `re`
read alike: literals, `[...]` of plain characters, `(?:...)`, `|`, `?`, `*`, `+` and the escapes of their
own signs and of `\n`, `\r` and `\t`. It says everything that the template says but `not_before` (start <=
end): over hundreds of times that would multiply the expression, so `violation` checks it afterwards.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from kairoscope.core import Slot, Template, Text, UserError

SIGNS = frozenset(r"\.+*?()|[]{}^$")
r"""Escaped outside brackets. `-`, `/`, `<`, `>` and spaces must not be: some engines read `\<` as a word's edge."""
ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
UNSAFE_IN_CLASS = frozenset("]^-\\[&~|")
"""Characters that mean something in brackets, to one engine or another."""
UNSPEAKABLE = frozenset('"\\\n\r\t')
"""What free words may not have in them."""
CHARACTERS_PER_TOKEN = 4
OPENING, CLOSING = "<think>", "</think>"
REASONING = r"(?:<think>)?(?:[^<]|<+[^</])*</think>\n?\n?"
"""A block of reasoning: anything without `</`, closed by `</think>`. Its opening may already stand in the
prompt, where the chat template puts it there."""
_Node = tuple[bool, tuple[tuple[str, "_Node"], ...]]
"""Whether a value ends here, and what follows each next character."""


def check_slot(slot: Slot, earlier: Sequence[Slot]) -> None:
    """Raise UserError for a slot without values, or one that refers to a slot it cannot refer to.

    Args:
        slot: to be checked.
        earlier: the slots before it.
    """
    if not slot.choices:
        raise UserError(f"slot {slot.name!r} has no value to choose from")
    if slot.not_before is None:
        return
    if not 0 <= slot.not_before < len(earlier):
        raise UserError(f"slot {slot.name!r}: not_before must be the index of an earlier slot")
    if earlier[slot.not_before].choices != slot.choices:
        raise UserError(
            f"slot {slot.name!r} cannot be compared with {earlier[slot.not_before].name!r}: "
            "their values differ"
        )


def template_regex(template: Template, *, reasoning: bool = False) -> str:
    """A regular expression of the template's texts and, with another order of times, of no others.

    Args:
        template: what may be written.
        reasoning: a block that ends with `</think>` comes first; inside it anything may be written.

    Raises:
        UserError: a slot without values, one that refers to a slot it cannot refer to, or one with a
            value that is empty or the beginning of another.
    """
    parts = [REASONING] if reasoning else []
    slots: list[Slot] = []
    for part in template:
        if isinstance(part, str):
            parts.append(_escaped(part))
        elif isinstance(part, Text):
            parts.append(words_regex(part))
        else:
            check_slot(part, slots)
            slots.append(part)
            parts.append(choices_regex(part.choices))
    return "".join(parts)


def words_regex(text: Text) -> str:
    r"""Free words: `[^"\\\n\r\t]{0,240}`. No quotation mark, so that the next literal ends them."""
    return rf'[^"\\\n\r\t]{{0,{CHARACTERS_PER_TOKEN * text.max_tokens}}}'


@lru_cache(maxsize=512)
def choices_regex(choices: tuple[str, ...]) -> str:
    r"""One of the values, as small as shared beginnings and shared endings make it.

    The times of a clip at 4 frames a second: `(?:[0-6]\.(?:[05]0|[27]5)|7\.00)`. Raises UserError
    where a value is empty or the beginning of another: no engine could tell where it ends.
    """
    ordered = sorted(set(choices))
    if not ordered or not ordered[0]:
        raise UserError("a slot's value is empty")
    for one, other in pairwise(ordered):
        if other.startswith(one):
            raise UserError(f"a slot's value {one!r} is the beginning of another, {other!r}")
    return _pattern(_tree(tuple(ordered)))


def _tree(endings: tuple[str, ...]) -> _Node:
    """Sorted endings -> the tree of their characters. Equal subtrees are equal values."""
    groups: dict[str, list[str]] = {}
    for ending in endings:
        if ending:
            groups.setdefault(ending[0], []).append(ending[1:])
    follow = tuple((char, _tree(tuple(rest))) for char, rest in groups.items())
    return endings[:1] == ("",), follow


def _pattern(node: _Node) -> str:
    """Expression of what follows a node; characters with the same continuation share it."""
    alike: dict[_Node, list[str]] = {}
    for char, after in node[1]:
        alike.setdefault(after, []).append(char)
    options = [_one_of(chars) + _pattern(after) for after, chars in alike.items()]
    if len(options) > 1:
        return "(?:" + "|".join(options) + ")"
    return options[0] if options else ""


def _one_of(chars: Sequence[str]) -> str:
    if len(chars) == 1:
        return _escaped(chars[0])
    if any(char in UNSAFE_IN_CLASS or not char.isprintable() for char in chars):
        return "(?:" + "|".join(_escaped(char) for char in chars) + ")"
    return "[" + "".join(_ranges(sorted(chars))) + "]"


def _ranges(chars: Sequence[str]) -> Iterator[str]:
    """`0123` -> `0-3`; runs of fewer than four stay as they are."""
    run: list[str] = []
    for char in chars:
        if run and ord(char) != ord(run[-1]) + 1:
            yield _run(run)
            run = []
        run.append(char)
    yield _run(run)


def _run(run: Sequence[str]) -> str:
    # Of digits only: what lies between two letters depends on who is asked.
    return f"{run[0]}-{run[-1]}" if len(run) > 3 and run[0].isdigit() else "".join(run)


def _escaped(text: str) -> str:
    return "".join("\\" + c if c in SIGNS else ESCAPES.get(c, c) for c in text)


def answer_part(text: str) -> str:
    """The text after its reasoning block: after the last `</think>` and the line breaks behind it."""
    head, closing, tail = text.rpartition(CLOSING)
    return tail.lstrip("\n") if closing else head + tail


def satisfies(template: Template, text: str) -> bool:
    """Whether a text is one of the template's, the order of times included."""
    return violation(template, text) is None


def violation(template: Template, text: str, *, order: bool = True) -> str | None:
    """Where a text leaves its template, in words; None where it is one of the template's.

    Without `order`, values that come before one they may not precede pass: what `template_regex` says. No
    value of a slot is the beginning of another, so there is one way to read a text; linear time.
    """
    at = 0
    slots: list[Slot] = []
    picks: list[int] = []
    for part, after in pairwise((*template, "")):
        if isinstance(part, str):
            if not text.startswith(part, at):
                return f"at character {at} {_shown(text, at)} where {part!r} must stand"
            at += len(part)
            continue
        if isinstance(part, Text):
            blank = isinstance(after, str) and after.startswith(" ")
            at = max(at, _past_words(text, at) - blank)
            continue
        pick = _read(part.choices, text, at)
        if pick is None:
            return f"at character {at} {_shown(text, at)} where {part.name!r} must stand"
        before = part.not_before
        if order and before is not None and pick < picks[before]:
            return (
                f"{part.name} {part.choices[pick]} comes before "
                f"{slots[before].name} {part.choices[picks[before]]}"
            )
        slots.append(part)
        picks.append(pick)
        at += len(part.choices[pick])
    return None if at == len(text) else f"{_shown(text, at)} after the end of the answer"


@lru_cache(maxsize=512)
def _indices(choices: tuple[str, ...]) -> tuple[dict[str, int], tuple[int, ...]]:
    return {c: i for i, c in reversed(list(enumerate(choices)))}, tuple(
        sorted({len(choice) for choice in choices})
    )


def _read(choices: tuple[str, ...], text: str, at: int) -> int | None:
    """Index of the value that stands at a place of the text, or None."""
    places, lengths = _indices(choices)
    return next(
        (places[text[at : at + n]] for n in lengths if text[at : at + n] in places),
        None,
    )


def _past_words(text: str, at: int) -> int:
    """Where free words end: at the first sign that they may not have."""
    while at < len(text) and text[at] not in UNSPEAKABLE:
        at += 1
    return at


def _shown(text: str, at: int) -> str:
    return f"stands {text[at : at + 20]!r}" if at < len(text) else "the text ends"
