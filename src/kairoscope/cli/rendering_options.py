"""Options of `kairoscope render`."""

from pathlib import Path
from typing import Annotated

import typer

from kairoscope.limits import MOST_SEED

FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="What robosuite recorded: HDF5 of robomimic or MimicGen with states, or folders of "
        "such files.",
    ),
]
CameraOption = Annotated[str, typer.Option(metavar="NAME", help="A camera of the recorded model.")]
SizeOption = Annotated[int, typer.Option(metavar="64..2048", help="Side of the picture in pixels.")]
FpsOption = Annotated[float, typer.Option(metavar="1..120", help="Frames a second.")]
TaskOption = Annotated[
    str | None,
    typer.Option(
        metavar="TASK",
        help="A task file, or the name of a shipped one, whose events are labelled "
        "(default: that of each file's environment).",
    ),
]
AssetsOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FOLDER",
        help="Where meshes and textures lie: a package, or a checkout of it; repeatable "
        "(default: robosuite and mimicgen as installed).",
    ),
]
FastOption = Annotated[
    bool,
    typer.Option("--fast", help="No shadows, reflections or smooth edges: about 3 x as fast."),
]
PerFileOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="The first N demonstrations of each file alone."),
]
HoldoutOption = Annotated[
    float,
    typer.Option(
        metavar="SHARE", help="Share of the source demonstrations that is kept for the test."
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, max=MOST_SEED, metavar="N", help="Of that choice.")]
NoStampsOption = Annotated[
    bool,
    typer.Option(
        "--no-stamps",
        help="Clips and labels alone, no stamped clips and no datasets of conversations.",
    ),
]
RecordedFpsOption = Annotated[
    float | None,
    typer.Option(metavar="HZ", help="Recorded states a second, where the files say it wrongly."),
]
WorkersOption = Annotated[int, typer.Option(min=1, metavar="N", help="Processes.")]
