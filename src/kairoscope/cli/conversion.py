"""`kairoscope convert`."""

from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import command, counted, note, say

MAX_LISTED = 20


@command("Data, models, this machine")
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Labels, a robot dataset, a dataset of conversations, or the older scripts' pickles: "
            "prompts and responses, one file of results, or a folder of results_*.pkl.",
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="A new folder for a dataset, a new .jsonl file for anything else.",
        ),
    ],
    video_root: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where relative paths of clips begin; a dataset is written with paths relative to "
            "it (default: the folder of the source; absolute paths in a dataset).",
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            metavar="FPS",
            help="Which answers of results that have several frame rates; of a robot dataset, frames "
            "a second, where it records them wrongly.",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="How many trials results had: the older scripts leave out those that failed.",
        ),
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option(
            metavar="LIST",
            help="Clips in the order of responses that have no names: a folder, .txt or .jsonl.",
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of a robot dataset: whose clips the labels name "
            "(default: the first camera that does not move with a hand).",
        ),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="A robot dataset: OUT becomes a copy of it that has the labels of SOURCE, as made "
            "by hand.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="With --into: a task file, or the name of a shipped one, that says which event "
            "ends which signal of an HDF5 file.",
        ),
    ] = None,
    copy_videos: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--copy-videos",
            help="Of a robot dataset: what is written has videos of its own (default: labels name "
            "the dataset's, a copy of a dataset has hard links to them).",
        ),
    ] = False,
) -> None:
    """Turn labels into a dataset for cosmos-rl and back, and older scripts' pickles into JSONL.

    Labels of robot datasets become a label file with clips; with --into, labels go into a copy of one.

    Labels become a dataset of conversations that Hugging Face datasets loads, and a dataset becomes
    labels. A pickle of prompts and responses becomes labels, results become predictions for
    `kairoscope score`. Pickles are read without running anything in them.
    """
    from kairoscope.recipes.convert import convert as convert_data

    done = convert_data(
        source,
        target,
        video_root=video_root,
        fps=fps,
        num_trials=trials,
        videos=videos,
        camera=camera,
        into=into,
        task=task,
        copy_videos=copy_videos,
    )
    for problem in done.problems[:MAX_LISTED]:
        note("left out: ", str(problem))
    if len(done.problems) > MAX_LISTED:
        note(f"and {len(done.problems) - MAX_LISTED} more")
    say(f"{done.target}: {counted(done.count, done.what)}, {len(done.problems)} left out")
