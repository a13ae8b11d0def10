"""`kairoscope report`."""

from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import command, say
from kairoscope.core import UserError


@command("Evaluate and train")
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="A run folder; or several evaluations, compared with the first."
        ),
    ],
    page: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PAGE.html",
            help="Where a comparison goes (default: comparison.html in the last run).",
        ),
    ] = None,
) -> None:
    """Write the page of a run again, or a page that compares several evaluations.

    An evaluation has report.html, an annotation annotations.html, a recipe recipe.html and
    recipe.md, a training training.html and training.md.
    """
    from kairoscope.recipes import RECIPES
    from kairoscope.recipes.pages import write_page
    from kairoscope.report.comparison_page import PAGE, write_comparison_page
    from kairoscope.runs import Run

    if len(runs) == 1:
        if page is not None:
            raise UserError("--out is for comparisons; the page of one run lies in its folder")
        say(f"report: {write_page(runs[0])}")
        return
    target = page or runs[-1] / PAGE
    if target.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {target}: allowed: the name of an .html file")
    task = Run.read(runs[-1]).config.get("task")
    recipe = RECIPES.get(task) if isinstance(task, str) else None
    targets = recipe.targets if recipe else {}
    say(f"report: {write_comparison_page(runs, target, targets)}")
