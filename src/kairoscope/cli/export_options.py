"""Options of `kairoscope export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

FolderOption = Annotated[
    Path, typer.Option("--out", metavar="FOLDER", help="A new folder for what is written.")
]
DataOption = Annotated[
    Path,
    typer.Option(
        "--cosmos-rl",
        metavar="DATA",
        help="Labelled clips, as for sft: written in the form in which cosmos-rl trains on them.",
    ),
]
RecipeOption = Annotated[
    str, typer.Option(metavar="RECIPE", help="Reads the data and gives the prompts.")
]
ModelOption = Annotated[
    str,
    typer.Option("--model", metavar="MODEL", help="What cosmos-rl shall begin with."),
]
ReleaseOption = Annotated[
    Literal["0.2.6", "0.4.4"],
    typer.Option("--release", help="Of cosmos-rl: the recipes' own, or the newest known here."),
]
GpusOption = Annotated[
    int, typer.Option(min=1, max=1024, metavar="N", help="GPUs to share a batch among.")
]
