"""Options of `kairoscope annotate`."""

from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.options import DECODING

SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="A video, a folder of videos, a list of them (.txt, .jsonl), or a robot dataset: "
        "HDF5 of robomimic, MimicGen or Isaac Lab, or a LeRobot folder.",
    ),
]
TaskOption = Annotated[
    str,
    typer.Option(
        "--task", metavar="TASK", help="A task file (.toml), or the name of a shipped one."
    ),
]
DecodingOption = Annotated[str | None, DECODING]
TrialsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Ask N times and take the median of each boundary, with constrained decoding unless "
        "told otherwise: for models that give no distribution (default: 1).",
    ),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(metavar="T", help="Of the N trials, above 0 (default: 0.7)."),
]
SeedOption = Annotated[int | None, typer.Option(metavar="N", help="Of the N trials (default: 0).")]
ExamplesOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="K",
        help="Of a dataset, or a folder with labels.jsonl: use what is labelled in it, and say "
        "which to label first where fewer than K are.",
    ),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Labels by hand besides those in the dataset, or for a folder of clips: a label file, "
        "such as the corrections.jsonl of another run.",
    ),
]
SignalsOnlyOption = Annotated[
    bool,
    typer.Option(
        "--signals-only",
        help="Of a dataset: recorded signals and labelled examples alone, no model.",
    ),
]
InPlaceOption = Annotated[
    bool,
    typer.Option(
        "--in-place", help="Of a dataset: write into it, and not into a copy under --out."
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Of a dataset: replace labels that Kairoscope did not make, too "
        "(default: they are kept, and are the examples for the others).",
    ),
]
CameraOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of a dataset: which camera the model sees "
        "(default: the first that does not move with a hand).",
    ),
]
FpsOption = Annotated[
    float | None,
    typer.Option(
        metavar="FPS", help="Of a dataset: frames a second, where it records them wrongly."
    ),
]
RenderOption = Annotated[
    str | None,
    typer.Option(
        metavar="CAMERA",
        help="Of what robosuite recorded without pictures: the model sees what this camera of "
        "the recorded simulation sees, such as agentview (needs the extra simulate).",
    ),
]
AssetsOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FOLDER",
        help="For --render: where meshes and textures lie; repeatable "
        "(default: robosuite and mimicgen as installed).",
    ),
]
