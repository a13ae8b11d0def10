"""`kairoscope merge`: adapters and their base model become one checkpoint."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kairoscope.cli.app import command, counted, say
from kairoscope.cli.options import ModelOption, check_model
from kairoscope.core import UserError


@command("Evaluate and train")
def merge(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A new folder for the checkpoint.")
    ],
    adapter: Annotated[
        list[str],
        typer.Option(
            metavar="ADAPTER[=FACTOR]",
            help="Folder of an adapter, as RUN/best/adapter, and what it is multiplied with "
            "(default: 1); repeatable: all are added.",
        ),
    ],
    model: ModelOption = "builtin",
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"],
        typer.Option(metavar="TYPE", help="Of the weights: float32, bfloat16 or float16."),
    ] = "float32",
) -> None:
    """Merge one LoRA adapter, or several, into the model they were trained on.

    Writes a checkpoint that every command takes as --model, and transformers loads.
    """
    check_model(model)
    from kairoscope.models.adapters import merge as merge_adapters
    from kairoscope.models.adapters import read_adapter
    from kairoscope.models.load import load_weights

    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder}: is there already; choose a new folder for the checkpoint")
    chosen = [(read_adapter(path), factor) for path, factor in map(_parsed, adapter)]
    checkpoint = load_weights(model, device="cpu", training=True)
    merge_adapters(checkpoint, chosen, folder, dtype)
    say(f"{folder}: {model} with {counted(len(chosen), 'adapter')}")


def _parsed(text: str) -> tuple[Path, float]:
    """`runs/a/best/adapter=0.5` -> its folder and 0.5."""
    name, equals, factor = text.rpartition("=")
    if not equals:
        return Path(text), 1.0
    try:
        number = float(factor)
    except ValueError:
        return Path(text), 1.0  # an = in the name of a folder
    if not -100 <= number <= 100:
        raise UserError(f"--adapter {text}: the factor is {factor}; allowed: -100 to 100")
    return Path(name), number
