"""`kairoscope report`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import command, note, say, show
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
    from kairoscope.recipes.pages import write_page

    if len(runs) == 1:
        if page is not None:
            raise UserError("--out is for comparisons; the page of one run lies in its folder")
        say(f"report: {write_page(runs[0])}")
        return
    say(f"report: {_write_comparison(runs, page)}")


@command("Evaluate and train")
def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="An evaluation.")],
    other: Annotated[
        Path, typer.Argument(metavar="SFT", help="Another of the same clips, after training, say.")
    ],
    page: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PAGE.html",
            help="Where the page goes (default: comparison.html in SFT).",
        ),
    ] = None,
    judged: Annotated[
        list[Path] | None,
        typer.Option(
            "--judged",
            metavar="FOLDER",
            help="A judge's run that lies elsewhere than in the runs; repeatable.",
        ),
    ] = None,
) -> None:
    """Say what one evaluation changes against another, clip by clip over those that both have.

    Differences with 95 % intervals, and a page with every clip, the worst regressions first. Of captions also
    clips won, tied and lost in every field, and the scores of a judge that has judged both in the same way.
    """
    from kairoscope.report.captions.comparison import compare_captions
    from kairoscope.report.captions.console import comparison_table, judge_comparison_table
    from kairoscope.report.captions.figures import is_caption
    from kairoscope.report.captions.page import read_captioned
    from kairoscope.report.comparison.page import run_names
    from kairoscope.runs import Run, read_metrics

    folders, judges = [base, other], judged or []
    written = _write_comparison(folders, page, judges)
    if is_caption(read_metrics(Run.read(other))):
        names = run_names(folders)
        runs = [read_captioned(folder, name) for folder, name in zip(folders, names, strict=True)]
        for one in compare_captions(runs, judges):
            show(comparison_table(one))
            for pair in one.judges:
                show(judge_comparison_table(pair))
            for words in one.notes:
                note("", words)
    elif headline := _headline(base, other):
        say(headline)
    say(f"report: {written}")


def _headline(base: Path, other: Path) -> str | None:
    """What changes in the headline of a recipe's task, where the run is of one."""
    from kairoscope.recipes import RECIPES
    from kairoscope.report.comparison.headline import headline_words
    from kairoscope.runs import Run

    first, last = Run.read(base), Run.read(other)
    recipe = RECIPES.get(str(last.config.get("task")))
    return headline_words(recipe.task, first, last) if recipe else None


def _write_comparison(runs: list[Path], page: Path | None, judges: Sequence[Path] = ()) -> Path:
    """The page of several evaluations; its path."""
    from kairoscope.recipes import RECIPES
    from kairoscope.report.comparison.page import PAGE, write_comparison_page
    from kairoscope.runs import Run

    target = page or runs[-1] / PAGE
    if target.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {target}: allowed: the name of an .html file")
    task = Run.read(runs[-1]).config.get("task")
    recipe = RECIPES.get(task) if isinstance(task, str) else None
    return write_comparison_page(runs, target, recipe.targets if recipe else {}, judges)
