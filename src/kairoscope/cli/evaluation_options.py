"""Options of `kairoscope evaluate`."""

from typing import Annotated

import typer

from kairoscope.cli.options import DECODING

DecodingOption = Annotated[list[str] | None, DECODING]
FpsOption = Annotated[
    list[float] | None,
    typer.Option(metavar="FPS", help="Frames a second that the model sees (as --frames fps=…)."),
]
TrialsOption = Annotated[
    list[int] | None, typer.Option(metavar="N", help="Answers for each clip (default: 1).")
]
TemperatureOption = Annotated[
    list[float] | None,
    typer.Option(metavar="T", help="0 takes the likeliest token (default: 0)."),
]
SeedOption = Annotated[int | None, typer.Option(metavar="N", help="Of drawn answers (default: 0).")]
ControlOption = Annotated[
    bool | None,
    typer.Option(
        "--control/--no-control",
        help="Ask about wrong clips, too: what remains was not seen (default: control).",
    ),
]
BlindOption = Annotated[
    bool | None,
    typer.Option(
        "--blind/--no-blind",
        help="Ask without any clip, too: what remains was guessed from the words (default: of "
        "av-questions, blind).",
    ),
]
RotateOption = Annotated[
    bool,
    typer.Option(
        "--rotate-choices",
        help="Of questions with choices: ask again with every choice under every letter.",
    ),
]
