"""`kairoscope plot`."""

from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import command, note, say


@command("From videos to boundaries")
def plot(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder that `kairoscope annotate` wrote, or a robot dataset.",
        ),
    ],
    clip: Annotated[
        str | None,
        typer.Option(
            metavar="CLIP", help="Which clip or episode (default: the one to review first)."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="Of a dataset: also what its signals say about the events of a task.",
        ),
    ] = None,
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose frames are shown.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="A .png, .svg or .pdf file (default: a .png in SOURCE/plots, or here).",
        ),
    ] = None,
) -> None:
    """Draw one clip on one page: frames at its boundaries, signals, and who says what about each.

    Of annotated clips, the probabilities of model, signals, other demonstrations and all together; of a
    dataset, its signals and labels.
    """
    from kairoscope.core import UserError
    from kairoscope.review.figure import SUFFIXES, write_figure
    from kairoscope.review.story import story_of_episode, story_of_run

    if file is not None and file.suffix.lower() not in SUFFIXES:
        raise UserError(f"--out {file}: allowed: a name that ends in {', '.join(SUFFIXES)}")
    is_run = (source / "config.json").is_file()
    if is_run:
        if task is not None:
            raise UserError("--task is for datasets; annotated clips have their task")
        story = story_of_run(source, clip, camera)
    else:
        from kairoscope.data.taskfiles import load_task

        story = story_of_episode(source, clip, load_task(task) if task else None, camera)
    for remark in story.notes:
        note("note: ", remark)
    name = f"{story.title.replace('/', '_')}.png"
    target = file or (source / "plots" / name if is_run else Path(name))
    say(f"plot: {write_figure(story, target)}")
