"""Read pickles of plain data, and nothing else: no class, function or module is ever looked up.

A pickle is a program for a small stack machine. The machine here knows only the instructions that
build dicts, lists, tuples, texts, numbers, booleans and None; `pickle` itself is not used, because
even with its lookups turned off a few bytes make it allocate gigabytes (a huge memo slot) or hash
for years (nested tuples as keys). Not even `collections.OrderedDict` is admitted: the older
scripts write plain dicts.
"""

import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kairoscope.core import UserError

MAX_BYTES = 64 * 2**20
MAX_VALUES = 5_000_000
MAX_DEPTH = 32
ALLOWED = "dicts, lists, tuples, texts, numbers, booleans and None"

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}
_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_TEXTS = ("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
_VALUES = frozenset((*_NUMBERS, *_TEXTS))
"""Instructions whose argument is the value."""
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_KEYS = (str, int)
_BROKEN = (ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError, AttributeError)


def load_plain(path: Path) -> Any:
    """What a pickle holds: dicts, lists, tuples, str, int, float, bool and None only.

    Raises:
        UserError: the file cannot be read, is larger than 64 MiB, is no pickle, stands for more
            than 5 million values or nests deeper than 32, or names a class or function (the
            message says which). Nothing that it names is imported.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise UserError(f"{path}: larger than {MAX_BYTES} bytes, the most that is read")
    try:
        value = _Machine().run(data)
        _check_size(value)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except _BROKEN as error:
        raise UserError(f"{path}: not a pickle, or a broken one: {error}") from error
    return value


class _Machine:
    """The stack, the stacks below the marks, and the memo of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        argument: Any
        for opcode, argument, position in pickletools.genops(data):
            name = opcode.name
            if name == "STOP":
                [value] = self.stack
                return value
            if name in _VALUES:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name]())
            elif name == "MEMOIZE" or name in _PUTS:
                self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
            elif name in _GETS:
                self.stack.append(self.memo[argument])
            elif name == "MARK":
                self.below.append(self.stack)
                self.stack = []
            elif name not in ("PROTO", "FRAME"):
                self._build(name, argument, position)
        raise ValueError("it does not end")

    def _build(self, name: str, argument: Any, position: int | None) -> None:
        if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            self.stack.append(tuple(self._pop(int(name[-1]))))
        elif name == "TUPLE":
            values = self._pop_to_mark()
            self.stack.append(tuple(values))
        elif name == "LIST":
            values = self._pop_to_mark()
            self.stack.append(values)
        elif name == "DICT":
            values = self._pop_to_mark()
            self.stack.append(_fill({}, values))
        elif name in ("APPEND", "APPENDS"):
            values = self._pop(1) if name == "APPEND" else self._pop_to_mark()
            _extend(self.stack[-1], values)
        elif name in ("SETITEM", "SETITEMS"):
            values = self._pop(2) if name == "SETITEM" else self._pop_to_mark()
            _fill(self.stack[-1], values)
        else:
            _refuse(name, argument, position, self.stack)

    def _pop(self, count: int) -> list[Any]:
        values = self.stack[-count:]
        if len(values) < count:
            raise ValueError("it takes what it has not made")
        del self.stack[-count:]
        return values

    def _pop_to_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.below.pop()
        return values


def _extend(items: Any, values: list[Any]) -> None:
    if not isinstance(items, list):
        raise TypeError("it appends to something that is no list")
    items.extend(values)


def _fill(table: Any, items: list[Any]) -> Any:
    if not isinstance(table, dict) or len(items) % 2:
        raise TypeError("it sets items of something that is no dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, _KEYS):
            raise UserError(f"a key of a dict is a {type(key).__name__}; allowed: text, number")
        table[key] = value
    return table


def _refuse(name: str, argument: Any, position: int | None, stack: list[Any]) -> None:
    if name in ("GLOBAL", "INST"):
        wanted = str(argument).replace(" ", ".")
    elif name == "STACK_GLOBAL" and len(stack) >= 2:
        wanted = f"{stack[-2]}.{stack[-1]}"
    else:
        raise UserError(f"the instruction {name} at byte {position}; allowed: {ALLOWED}")
    raise UserError(f"the pickle wants to load {wanted[:80]}; allowed: {ALLOWED}")


def _check_size(value: Any) -> None:
    """Count the values that a walk over the whole tree would see, before anybody walks it."""
    level = [value]
    count = 1
    for _ in range(MAX_DEPTH):
        count += sum(_width(item) for item in level)
        if count > MAX_VALUES:
            raise UserError(f"stands for more than {MAX_VALUES} values")
        level = [child for item in level if _width(item) for child in _children(item)]
        if not level:
            return
    raise UserError(f"nested deeper than {MAX_DEPTH}")


def _width(item: Any) -> int:
    if isinstance(item, dict):
        return 2 * len(item)
    return len(item) if isinstance(item, list | tuple) else 0


def _children(item: Any) -> list[Any]:
    return [*item.keys(), *item.values()] if isinstance(item, dict) else list(item)
