"""Options of `kairoscope convert`."""

from pathlib import Path
from typing import Annotated

import typer

SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="Labels, a robot dataset, a dataset of conversations, or the older scripts' pickles: "
        "prompts and responses, one file of results, or a folder of results_*.pkl.",
    ),
]
TargetArgument = Annotated[
    Path,
    typer.Argument(
        metavar="OUT",
        help="A new folder for a dataset, a new .jsonl file for anything else.",
    ),
]
VideoRootOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where relative paths of clips begin; a dataset is written with paths relative to "
        "it (default: the folder of the source; absolute paths in a dataset).",
    ),
]
FpsOption = Annotated[
    float | None,
    typer.Option(
        metavar="FPS",
        help="Which answers of results that have several frame rates; of a robot dataset, frames "
        "a second, where it records them wrongly.",
    ),
]
TrialsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="How many trials results had: the older scripts leave out those that failed.",
    ),
]
VideosOption = Annotated[
    Path | None,
    typer.Option(
        metavar="LIST",
        help="Clips in the order of responses that have no names: a folder, .txt or .jsonl.",
    ),
]
CameraOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of a robot dataset: whose clips the labels name "
        "(default: the first camera that does not move with a hand).",
    ),
]
IntoOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DATASET",
        help="A robot dataset: OUT becomes a copy of it that has the labels of SOURCE, as made "
        "by hand.",
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        metavar="TASK",
        help="With --into: a task file, or the name of a shipped one, that says which event "
        "ends which signal of an HDF5 file.",
    ),
]
CopyVideosOption = Annotated[
    bool,
    typer.Option(
        "--copy-videos",
        help="Of a robot dataset: what is written has videos of its own (default: labels name "
        "the dataset's, a copy of a dataset has hard links to them).",
    ),
]
