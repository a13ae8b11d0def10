"""A document written as Markdown and as HTML from the same blocks: both say the same."""

from collections.abc import Sequence
from pathlib import Path

from kairoscope.report.blocks import Block, Heading, Plot
from kairoscope.report.html import to_html
from kairoscope.report.markdown import to_markdown
from kairoscope.report.svg import standalone
from kairoscope.storage import write_text_atomic

__all__ = ["Block", "Heading", "write_document"]


def write_document(
    blocks: Sequence[Block], folder: Path, name: str, *, kicker: str = "Recipe"
) -> tuple[Path, Path]:
    """Write `<name>.md`, its plots below `plots/`, and `<name>.html`; returns the two paths."""
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    for block in blocks:
        if isinstance(block, Plot):
            write_text_atomic(plots / f"{block.name}.svg", standalone(block.svg))
    markdown, html = folder / f"{name}.md", folder / f"{name}.html"
    write_text_atomic(markdown, to_markdown(blocks))
    write_text_atomic(html, to_html(blocks, kicker=kicker))
    return markdown, html
