"""The application and its entry point."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from kairoscope import __version__
from kairoscope.core import UserError

app = typer.Typer(
    name="kairoscope",
    help="Find, to the frame, when every subtask in a robot video begins and ends.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
err = Console(stderr=True)
out = Console()


def _show_version(value: bool) -> None:  # noqa: FBT001
    if value:
        out.print(f"kairoscope {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: FBT002
        bool, typer.Option("--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Find, to the frame, when every subtask in a robot video begins and ends."""


def main() -> None:
    """Run a command; what the user can put right is one message, never a traceback."""
    from kairoscope.cli import annotation, doctor, evaluation, training, video, world  # noqa: F401

    try:
        app()
    except UserError as error:
        err.print(f"[bold red]error:[/] {error}", highlight=False, markup=True)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("\n[yellow]stopped.[/] Finished work is kept: run the same command to go on.")
        sys.exit(130)
