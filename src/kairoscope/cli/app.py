"""The application, and how it speaks: results on standard output, everything else on the other."""

from collections.abc import Callable
from inspect import getdoc
from typing import Annotated, Any, Literal, TypeVar

import typer
from rich.console import Console, RenderableType
from rich.text import Text
from typer.core import TyperCommand

from kairoscope import __version__

app = typer.Typer(
    name="kairoscope",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
Verb = TypeVar("Verb", bound=Callable[..., Any])
Panel = Literal[
    "From videos to boundaries",
    "Evaluate and train",
    "Videos",
    "Data, models, this machine",
]
err = Console(stderr=True, highlight=False)
out = Console(highlight=False)


def command(
    panel: Panel, name: str | None = None, cls: type[TyperCommand] = TyperCommand
) -> Callable[[Verb], Verb]:
    """Register a function as a command, with its docstring as its help."""

    def register(verb: Verb) -> Verb:
        text = _flowing(getdoc(verb) or "")
        app.command(name, cls=cls, help=text, rich_help_panel=panel)(verb)
        return verb

    return register


def _flowing(text: str) -> str:
    """Each paragraph on one line, so that the terminal breaks it."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def say(text: str, style: str = "") -> None:
    """A line of the result. Nothing in it is taken for markup, and long paths stay whole."""
    out.print(Text(_visible(text), style), soft_wrap=True)


def show(table: RenderableType) -> None:
    """A table of the result."""
    out.print(table)


def note(label: str, text: str = "") -> None:
    """A remark that is not the result: a label and what it is about."""
    words = Text(_visible(label), "yellow").append(_visible(text).replace("\n", "\\n"), "default")
    err.print(words, soft_wrap=True)


def advise(text: str) -> None:
    """Something that is allowed and yet hardly meant."""
    note("warning: ", text)


def complain(message: str) -> None:
    """Why a command could not do what it was asked for."""
    words = Text("error: ", "bold red").append(_visible(message), "not bold default")
    err.print(words, soft_wrap=True)


def counted(number: int, what: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _visible(text: str) -> str:
    """Control characters, which file names may hold, as escapes: no name moves the cursor."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def _show_version(value: bool) -> None:  # noqa: FBT001
    if value:
        say(f"kairoscope {__version__}")
        raise typer.Exit


HELP = """
Find, to the frame, when every subtask in a robot video begins and ends.

Every command that works for a while can be stopped at any moment and goes on when it is run again.
Results go to standard output, progress and remarks to standard error. Exit codes: 0 done, 1 a check
failed, 2 something to put right, 130 stopped with Ctrl-C.
"""


@app.callback(help=_flowing(HELP.strip()))
def _options(
    version: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """The options of the program itself."""
