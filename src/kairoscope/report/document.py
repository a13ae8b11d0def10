"""A document of headings, paragraphs, tables, plots and code, written as Markdown and as HTML.

Both come from the same blocks, so that neither can say what the other does not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from kairoscope.report.figures import Interval, shown
from kairoscope.report.findings import Finding
from kairoscope.report.page import interval, render_page, svg, value
from kairoscope.report.svg import printable, standalone
from kairoscope.storage import write_text_atomic


@dataclass(frozen=True, slots=True)
class Number:
    """A figure in a table."""

    value: float | None
    unit: str = ""
    interval: Interval | None = None
    signed: bool = False
    """Write the plus of a positive difference."""


Cell = str | Number


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


@dataclass(frozen=True, slots=True)
class Link:
    """A file of the run, by its relative URL."""

    text: str
    url: str


Block = Heading | Paragraph | Bullets | Table | Plot | Code | Cards | Contents | Findings | Link


def write_document(blocks: Sequence[Block], folder: Path, name: str) -> tuple[Path, Path]:
    """Write `<name>.md`, its plots below `plots/`, and `<name>.html`; returns the two paths."""
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    for block in blocks:
        if isinstance(block, Plot):
            write_text_atomic(plots / f"{block.name}.svg", standalone(block.svg))
    markdown, html = folder / f"{name}.md", folder / f"{name}.html"
    write_text_atomic(markdown, to_markdown(blocks))
    write_text_atomic(html, to_html(blocks))
    return markdown, html


# --- Markdown ------------------------------------------------------------------------------


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


# --- HTML ----------------------------------------------------------------------------------


def to_html(blocks: Sequence[Block]) -> str:
    """The document as one page, called by its first heading of level 1."""
    title = next((b.text for b in blocks if isinstance(b, Heading) and b.level == 1), "Recipe")
    parts: list[Markup] = []
    plots: list[Plot] = []
    for block in blocks:
        if isinstance(block, Plot):
            plots.append(block)
            continue
        parts += _html_plots(plots)
        plots = []
        parts.append(_html_contents(blocks) if isinstance(block, Contents) else _html(block))
    parts += _html_plots(plots)
    return render_page("document.html.jinja", title=title, body=Markup("\n").join(parts))


def _html_plots(plots: Sequence[Plot]) -> list[Markup]:
    """Plots that follow each other stand side by side."""
    if not plots:
        return []
    figures = Markup("").join(
        Markup('<figure class="panel"><figcaption>{}</figcaption>{}</figure>').format(
            printable(plot.caption), svg(plot.svg)
        )
        for plot in plots
    )
    return [Markup('<div class="panels">{}</div>').format(figures)]


def _html_contents(blocks: Sequence[Block]) -> Markup:
    links = Markup("").join(
        Markup('<a href="#{}">{}</a>').format(anchor(block.text), block.text)
        for block in blocks
        if isinstance(block, Heading) and block.level == 2
    )
    return Markup('<nav class="toc" aria-label="Contents">{}</nav>').format(links)


def anchor(text: str) -> str:
    """A heading as the name of its place in the page."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _html(block: Block) -> Markup:
    match block:
        case Heading(level, text):
            return Markup('<h{0} id="{1}">{2}</h{0}>').format(level, anchor(text), printable(text))
        case Paragraph(text):
            return Markup("<p>{}</p>").format(printable(text))
        case Bullets(items):
            rows = Markup("").join(Markup("<li>{}</li>").format(printable(i)) for i in items)
            return Markup("<ul>{}</ul>").format(rows)
        case Table():
            return _html_table(block)
        case Cards(cards):
            return Markup('<dl class="figures">{}</dl>').format(
                Markup("").join(_html_card(card, first=i == 0) for i, card in enumerate(cards))
            )
        case Code(text, _):
            return Markup("<pre>{}</pre>").format(printable(text))
        case Findings(findings):
            return Markup('<ul class="findings">{}</ul>').format(
                Markup("").join(_html_finding(finding) for finding in findings)
            )
        case Link(text, url):
            return Markup('<p><a href="{}">{}</a></p>').format(url, printable(text))
        case _:
            return Markup("")


def _html_card(card: Card, *, first: bool) -> Markup:
    return Markup('<div class="figure{}"><dt>{}</dt><dd>{}<p class="sub">{}</p></dd></div>').format(
        " lead" if first else "",
        card.label,
        value(card.number.value, card.number.unit),
        printable(card.note),
    )


def _html_finding(finding: Finding) -> Markup:
    return Markup(
        '<li class="finding"><span class="tag {}">{}</span>'
        "<div><strong>{}</strong><p>{}</p></div></li>"
    ).format(finding.colour, finding.severity, printable(finding.title), printable(finding.detail))


def _html_table(table: Table) -> Markup:
    head = Markup("").join(
        Markup("<th{}>{}</th>").format(_class(i, table), printable(name))
        for i, name in enumerate(table.columns)
    )
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(_html_cell(cell, i, table) for i, cell in enumerate(row))
        )
        for row in table.rows
    )
    return Markup(
        '<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(head, body)


def _class(place: int, table: Table) -> Markup:
    return Markup("" if place < table.num_text else ' class="num"')


def _html_cell(cell: Cell, place: int, table: Table) -> Markup:
    if isinstance(cell, str):
        words: Markup = escape(printable(cell))
    else:
        sign = "+" if cell.signed and cell.value is not None and cell.value > 0 else ""
        words = escape(sign) + value(cell.value, cell.unit)
        if cell.interval is not None:
            words += Markup('<span class="ci">{}</span>').format(interval(cell.interval, cell.unit))
    tag = "th" if place == 0 else "td"
    return Markup("<{0}{1}>{2}</{0}>").format(tag, _class(place, table), words)
