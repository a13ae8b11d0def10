"""What is being made of a file: its keys, and a row for each that says what became of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kairoscope.core import UserError
from kairoscope.cosmos_rl.keys import HEAD, LEAVES, Version

Outcome = Literal["used", "adapted", "no effect", "warning", "refused"]
"""`used`: as cosmos-rl would. `adapted`: used in another way, which the row gives. `no effect`: known,
and nothing here depends on it. `warning`: not done here; the run goes on without. `refused`: not done
here, and a run without it would be another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One key and what became of it."""

    key: str
    value: Any
    given: bool
    """False: not in the file; `value` is what cosmos-rl takes then."""
    outcome: Outcome
    became: str
    """The setting here, such as `batch_size = 256`, or nothing."""
    why: str


@dataclass(frozen=True, slots=True)
class Became:
    """What a rule makes of a value; see `Row`."""

    outcome: Outcome
    became: str = ""
    why: str = ""


@dataclass(kw_only=True)
class Reading:
    """The file, and what has been made of it so far."""

    where: str
    """The file, for messages."""
    kind: Literal["sft", "grpo"]
    version: Version
    given: Mapping[str, Any]
    """Dotted key -> value."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Field of `SFTConfig` or `GRPOConfig` -> value."""
    other: dict[str, Any] = field(default_factory=dict)
    """Model, data, folders, loggers: see `mapping.Mapped`."""

    @property
    def is_head(self) -> bool:
        """Whether the file is for 0.4.4."""
        return self.version == HEAD

    def get(self, key: str, pin: Any, head: Any = None) -> Any:
        """The file's value, or the default of its release (`head` where that differs from `pin`)."""
        return self.given.get(key, head if self.is_head and head is not None else pin)

    def set(self, field_name: str, value: Any, why: str = "", *, adapted: bool = False) -> Became:
        """Give a setting a value, and say so."""
        self.settings[field_name] = value
        return Became("adapted" if adapted else "used", f"{field_name} = {shown(value)}", why)


Apply = Callable[[Reading, Any], Became]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to do with a key."""

    apply: Apply
    kinds: tuple[type, ...]
    """Types that its value may have."""
    pin: Any = None
    """Its default in 0.2.6; None: it has none, or nothing depends on it."""
    head: Any = None
    """Its default in 0.4.4, where that is another."""
    only: Literal["sft", "grpo"] | None = None
    """The kind of training that it belongs to; None: both."""

    def default(self, version: Version) -> Any:
        """What cosmos-rl takes where the file has no such key."""
        return self.head if version == HEAD and self.head is not None else self.pin


def shown(value: Any) -> str:
    """A value as a TOML file would have it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    return str(value)


def flattened(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of nested tables with their values, in the order of the file."""
    for name, value in tables.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and key not in LEAVES:
            yield from flattened(value, f"{key}.")
        else:
            yield key, value


def checked(reading: Reading, rule: Rule, key: str, value: Any) -> Any:
    """The value, if it has a type that the key allows. Raises UserError otherwise."""
    kind = type(value)
    if kind in rule.kinds or (kind is int and float in rule.kinds):
        return value
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    allowed = " or ".join(names.get(k, "a list" if k is list else "a table") for k in rule.kinds)
    raise UserError(f"{reading.where}: {key} is {value!r}; allowed: {allowed}")


def takes(field_name: str, why: str = "") -> Apply:
    """A rule that gives a setting the value as it is."""
    return lambda reading, value: reading.set(field_name, value, why)


def keeps(name: str, what: str, why: str = "") -> Apply:
    """A rule that hands a value on under a name; `what` says where it appears."""

    def apply(reading: Reading, value: Any) -> Became:
        reading.other[name] = value
        return Became("used", f"{what} {shown(value)}", why)

    return apply


def nothing(why: str) -> Apply:
    """A rule for keys on which nothing here depends."""
    return lambda _reading, _value: Became("no effect", "", why)


def off(why: str, outcome: Outcome = "refused") -> Apply:
    """A rule for things that are not done here: fine while they are off, else refused or warned of."""

    def apply(_reading: Reading, value: Any) -> Became:
        if value in (False, None, 0, "", "none", [], {}):
            return Became("no effect", "", "off")
        return Became(outcome, "", why)

    return apply


def only(allowed: tuple[Any, ...], fine: str, refusal: str, outcome: Outcome = "refused") -> Apply:
    """A rule for keys of which some values are what happens here anyway."""

    def apply(_reading: Reading, value: Any) -> Became:
        return Became("no effect", "", fine) if value in allowed else Became(outcome, "", refusal)

    return apply
