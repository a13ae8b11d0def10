"""Options that take several values: `--fps 4 8 12`, `--fps 4,8,12` and `--fps 4 --fps 8` are the same.

A command line knows options with one value each. So before it is parsed, the words after such an option
that can be values of it are given the option's name, each by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typer.core import TyperCommand

Fits = Callable[[str], bool]
"""Whether a word can be a value of an option, and not what comes after it."""


def is_number(word: str) -> bool:
    """`4`, `0.6`, `4,8,12`; not `-1`, which looks like an option."""
    try:
        return bool(word) and all(float(part) >= 0 for part in word.split(","))
    except ValueError:
        return False


def one_of(choices: Sequence[str]) -> Fits:
    """Fits these words, and lists of them with commas."""
    return lambda word: all(part in choices for part in word.split(","))


def none_of(names: Sequence[str]) -> Fits:
    """Fits everything but options and these names, however they are written."""
    known = {name.replace("_", "-") for name in names}
    return lambda word: not word.startswith("-") and word.replace("_", "-") not in known


def expanded(
    words: Sequence[str], options: Mapping[str, Fits], *, whole: Sequence[str] = ()
) -> list[str]:
    """The words with an option's name before each of its values, one value at a time.

    Args:
        words: of a command line, without the command.
        options: name -> what its further values look like; the first value is taken as it is.
        whole: options whose values may hold commas, as paths do.
    """
    out: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            return [*out, word, *waiting]
        name, sign, value = word.partition("=")
        if name not in options:
            out.append(word)
            continue
        values = [value] if sign else waiting[:1]
        del waiting[: 0 if sign else 1]
        while waiting and options[name](waiting[0]):
            values.append(waiting.pop(0))
        if not values:
            out.append(name)  # at the end of the line: the parser says what is missing
        for one in values:
            for part in [one] if name in whole else one.split(","):
                out += [name, part]
    return out


def command_with(options: Mapping[str, Fits], *, whole: Sequence[str] = ()) -> type[TyperCommand]:
    """A class of commands in which these options take several values."""

    class ManyValues(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            return super().parse_args(ctx, expanded(args, options, whole=whole))

    return ManyValues
