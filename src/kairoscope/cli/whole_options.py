"""Options of `kairoscope run`."""

from pathlib import Path
from typing import Annotated

import typer

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="Labelled clips: a folder with train and test in it, or anything that the other "
        "commands take, of which 30 % is set aside (default: the recipe's folder in examples).",
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="Where the run goes; run again to go on in it (default: runs/RECIPE).",
    ),
]
StagesOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Only these, with commas: benchmark, zero-shot, analysis, curation, sft, "
        "re-evaluation, report; with --grpo also grpo, grpo-evaluation (default: all).",
    ),
]
GrpoOption = Annotated[
    bool,
    typer.Option("--grpo", help="Reinforcement learning after the fine-tuning, judged again."),
]
GrpoSettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set-grpo",
        metavar="NAME=VALUE",
        help="Change a setting of --grpo, as max_steps=50; repeatable.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
]
