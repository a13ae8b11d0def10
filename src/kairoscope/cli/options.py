"""Options that several commands share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.core import UserError
from kairoscope.models.server.options import ServerOptions

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="builtin, the folder of a checkpoint or adapter, a model on the hub (Qwen2.5-VL or Qwen3-VL); to ask, also "
        "openai:NAME (with --base-url) or vllm:MODEL.",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="cpu, cuda, cuda:1, … (default: a GPU where there is one)",
    ),
]
FramesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--frames",
        metavar="NAME=VALUE",
        help="Change the frame policy, as fps=4 or total_pixels=1000000; repeatable "
        "(default: the checkpoint's own policy, else the recipe's).",
    ),
]
OutOption = Annotated[
    Path,
    typer.Option("--out", metavar="FOLDER", help="Where the run goes; run again to go on in it."),
]
DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="DATA",
        help="Folder with labels.jsonl, a label file, or a dataset of conversations.",
    ),
]
RECIPE_NAMES = (
    "subtask-times, physics-score, av-captions, conversation, av-questions or av-questions:words"
)
"""Written out, for help must not wait for the recipes to be imported."""
RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help=f"{RECIPE_NAMES}.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change a training setting, as epochs=5 or lora.rank=8; repeatable.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        help=r"Settings in tables \[sft], \[frames] and \[evaluation], as far as the command has use "
        "for them; options on the command line win.",
    ),
]
PromptOption = Annotated[
    Path | None,
    typer.Option(
        "--prompt",
        metavar="FILE.yaml",
        help="Ask with these words: system_prompt and user_prompt, as the recipes' own files have "
        "them (default: the recipe's prompt).",
    ),
]
RefineOption = Annotated[
    bool,
    typer.Option(
        "--refine",
        help="Ask again about a short span around each boundary, in slow motion, and put both "
        "distributions together (with posterior decoding).",
    ),
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Clips that share a forward pass (default: 1 on a CPU, 8 on a GPU).",
    ),
]
DECODING = typer.Option(
    metavar="HOW",
    help="posterior: every event, each time the median of its distribution, with a confidence; "
    "constrained: every event, likeliest or drawn times; free: whatever the model writes "
    "(default: posterior).",
)
TABLES = ("sft", "frames", "evaluation", "data")


def read_config(file: Path | None) -> dict[str, Any]:
    """The tables of a `--config` file, an empty one for each that it lacks.

    One file serves all commands of a recipe: each takes what it has use for. Raises UserError for
    a file that cannot be read, and for tables that no command knows.
    """
    from kairoscope.settings import read_toml

    found = read_toml(file) if file else {}
    for name, table in found.items():
        if name not in TABLES:
            tables = ", ".join(f"[{table}]" for table in TABLES)
            raise UserError(f"{file}: unknown {name!r}; allowed: {tables}")
        if not isinstance(table, Mapping):
            raise UserError(f"{file}: {name} is {table!r}; allowed: a table [{name}]")
    return {name: found.get(name, {}) for name in TABLES}


def check_model(spec: str, server: ServerOptions | None = None) -> None:
    """Find out whether there is such a model, before everything that takes seconds is imported.

    `server`: of a command that only asks a model, whatever its engine. None: weights are needed.
    """
    if server is None:
        from kairoscope.models.names import located

        located(spec, small=True)
        return
    from kairoscope.models.engines import check_engine

    check_engine(spec, server)
