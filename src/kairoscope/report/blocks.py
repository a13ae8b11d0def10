"""The parts of a document: headings, paragraphs, tables, plots, code, findings. Plain data."""

from collections.abc import Sequence
from dataclasses import dataclass

from kairoscope.report.figures import Interval
from kairoscope.report.findings import Finding


@dataclass(frozen=True, slots=True)
class Number:
    """A figure in a table."""

    value: float | None
    unit: str = ""
    interval: Interval | None = None
    signed: bool = False
    """Write the plus of a positive difference."""


@dataclass(frozen=True, slots=True)
class Link:
    """A file of the run, by its relative URL."""

    text: str
    url: str


Cell = str | Number | Link


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the document's title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text. Plain: nothing in it is markup."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; columns after `num_text` are set as numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    num_text: int = 1


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of `report.plots`."""

    name: str
    """File name without its ending, for the Markdown form."""
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Code:
    """Text as it stands, such as a command or an answer."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One of the few figures that stand first."""

    label: str
    number: Number
    note: str


@dataclass(frozen=True, slots=True)
class Cards:
    """The few figures that stand first."""

    cards: Sequence[Card]


@dataclass(frozen=True, slots=True)
class Contents:
    """Links to the headings of level 2."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Computed statements with their evidence."""

    findings: Sequence[Finding]


Block = Heading | Paragraph | Bullets | Table | Plot | Code | Cards | Contents | Findings | Link
