"""Blocks -> Markdown, as GitHub reads it. No text in a block is taken for markup."""

import re
from collections.abc import Sequence

from kairoscope.report.blocks import (
    Block,
    Bullets,
    Cards,
    Cell,
    Code,
    Contents,
    Findings,
    Heading,
    Link,
    Number,
    Paragraph,
    Plot,
    Table,
)
from kairoscope.report.figures import shown
from kairoscope.report.page import interval
from kairoscope.report.svg import printable


def to_markdown(blocks: Sequence[Block]) -> str:
    """The document as Markdown (tables as GitHub has them, plots as `plots/<name>.svg`)."""
    parts = (_markdown(block) for block in blocks if not isinstance(block, Contents))
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block) -> str:  # noqa: C901
    match block:
        case Heading(level, text):
            return f"{'#' * level} {plain_markdown(text)}"
        case Paragraph(text):
            return plain_markdown(text)
        case Bullets(items):
            return "\n".join(f"- {plain_markdown(item)}" for item in items)
        case Table():
            return _markdown_table(block)
        case Plot(name, _, caption):
            return f"![{plain_markdown(caption)}](plots/{name}.svg)\n\n*{plain_markdown(caption)}*"
        case Code(text, language):
            fence = "`" * max(3, _longest_run(text) + 1)
            return f"{fence}{language}\n{printable(text)}\n{fence}"
        case Cards(cards):
            rows: list[list[Cell]] = [[card.label, card.number, card.note] for card in cards]
            return _markdown_table(Table(("Figure", "Value", "Note"), rows))
        case Contents():
            return ""
        case Findings(findings):
            return "\n".join(
                f"- **{f.severity}: {plain_markdown(f.title)}.** {plain_markdown(f.detail)}"
                for f in findings
            )
        case Link(text, url):
            return f"[{plain_markdown(text)}]({url})"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)


def _markdown_table(table: Table) -> str:
    rules = ["---" if i < table.num_text else "---:" for i in range(len(table.columns))]
    rows = [table.columns, *table.rows]
    lines = ["| " + " | ".join(_markdown_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join(rules) + " |", *lines[1:]])


def _markdown_cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return plain_markdown(cell)
    if isinstance(cell, Link):
        return f"[{plain_markdown(cell.text)}]({cell.url})"
    words = _number_words(cell)
    return f"{words} ({interval(cell.interval, cell.unit)})" if cell.interval else words


def _number_words(number: Number) -> str:
    if number.value is None:
        return "–"
    sign = "+" if number.signed and number.value > 0 else ""
    return f"{sign}{shown(number.value, number.unit)}"


_MARKS = re.compile(r"([\\`*\[\]|]|(?<!\w)_|_(?!\w))|(^\s*(?:[#+-]|\d+[.)])(?=\s))")


def plain_markdown(text: str) -> str:
    """Text in which nothing is taken for markup: one line, HTML as entities, marks escaped."""
    line = " ".join(printable(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(lambda m: f"\\{m[1]}" if m[1] else m[2][:-1] + "\\" + m[2][-1], line)
