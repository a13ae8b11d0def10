"""Blocks -> one HTML page. No text in a block is taken for markup."""

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from kairoscope.report.blocks import (
    Block,
    Bullets,
    Card,
    Cards,
    Cell,
    Code,
    Contents,
    Findings,
    Heading,
    Link,
    Paragraph,
    Plot,
    Table,
)
from kairoscope.report.findings import Finding
from kairoscope.report.page import interval, prose, render_page, svg, value
from kairoscope.report.svg import printable


def to_html(blocks: Sequence[Block], *, kicker: str = "Recipe") -> str:
    """The document as one page, called by its first heading of level 1; `kicker` stands above it."""
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
    return render_page(
        "document.html.jinja", title=title, kicker=kicker, body=Markup("\n").join(parts)
    )


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
            return Markup("<p>{}</p>").format(prose(text))
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
        prose(card.note),
    )


def _html_finding(finding: Finding) -> Markup:
    return Markup(
        '<li class="finding"><span class="tag {}">{}</span>'
        "<div><strong>{}</strong><p>{}</p></div></li>"
    ).format(finding.colour, finding.severity, prose(finding.title), prose(finding.detail))


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
    elif isinstance(cell, Link):
        words = Markup('<a href="{}">{}</a>').format(cell.url, printable(cell.text))
    else:
        sign = "+" if cell.signed and cell.value is not None and cell.value > 0 else ""
        words = escape(sign) + value(cell.value, cell.unit)
        if cell.interval is not None:
            words += Markup('<span class="ci">{}</span>').format(interval(cell.interval, cell.unit))
    tag = "th" if place == 0 else "td"
    return Markup("<{0}{1}>{2}</{0}>").format(tag, _class(place, table), words)
