"""Options of `kairoscope sft` alone: what a configuration file may say instead need not be given."""

from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.options import RECIPE_NAMES

SFTRecipeArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RECIPE]",
        help=f"{RECIPE_NAMES} (default: the first of these that can read the data).",
    ),
]
ManyDataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="DATA[=WEIGHT]",
        help="Folder with labels.jsonl, a label file, or a dataset of conversations; repeatable, and "
        "with a weight each of its samples comes so often an epoch (default: what --config names).",
    ),
]
SFTOutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="Where the run goes; run again to go on in it (default: what --config names).",
    ),
]
SFTModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="builtin, the folder of a checkpoint or adapter, or a model on the hub (Qwen2.5-VL or Qwen3-VL; default: "
        "what --config names, else builtin).",
    ),
]
HeldOutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DATA",
        help="Labelled clips to choose the best checkpoint on (default: 15 % of the groups).",
    ),
]
SFTConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        help=r"Settings in tables \[sft], \[frames] and \[data] (path = weight), or a file of cosmos-rl "
        "as it is; options on the command line win.",
    ),
]
AllowOtherFramesOption = Annotated[
    bool,
    typer.Option(
        "--allow-other-frames",
        help="Train on the frames that a cosmos-rl file means, though the evaluation has others.",
    ),
]
LoggerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--logger",
        metavar="NAME",
        help="tensorboard, jsonl (metrics.jsonl) or wandb; repeatable (default: tensorboard, and "
        "what --config names).",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Show what every key of --config becomes and how many steps; train nothing.",
    ),
]
