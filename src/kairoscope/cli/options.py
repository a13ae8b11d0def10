"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        help="builtin, a checkpoint folder, or a model on the hub (Qwen2.5-VL, Qwen3-VL).",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", help="cpu, cuda, cuda:1, … (default: a GPU if there is one)"),
]
FramesOption = Annotated[
    list[str] | None,
    typer.Option("--frames", help="Change the frame policy: fps=4, total_pixels=…; repeatable."),
]
OutOption = Annotated[Path, typer.Option("--out", help="Output folder; run again to go on in it.")]
DataOption = Annotated[
    Path, typer.Option("--data", help="Folder with labels.jsonl, a label file, or a HF dataset.")
]
RecipeArgument = Annotated[str, typer.Argument(help="Recipe: subtask-times.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a training setting: name=value; repeatable."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with [sft] and [frames] tables.")
]
