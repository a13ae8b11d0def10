"""`kairoscope render`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.options import OutOption
from kairoscope.cli.progress import bars
from kairoscope.limits import MOST_SEED

MAX_LISTED = 20


@command("Data, models, this machine")
def render(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="What robosuite recorded: HDF5 of robomimic or MimicGen with states, or folders of "
            "such files.",
        ),
    ],
    folder: OutOption,
    camera: Annotated[
        str, typer.Option(metavar="NAME", help="A camera of the recorded model.")
    ] = "agentview",
    size: Annotated[
        int, typer.Option(metavar="64..2048", help="Side of the picture in pixels.")
    ] = 512,
    fps: Annotated[float, typer.Option(metavar="1..120", help="Frames a second.")] = 30.0,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="A task file, or the name of a shipped one, whose events are labelled "
            "(default: that of each file's environment).",
        ),
    ] = None,
    assets: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Where meshes and textures lie: a package, or a checkout of it; repeatable "
            "(default: robosuite and mimicgen as installed).",
        ),
    ] = None,
    fast: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--fast", help="No shadows, reflections or smooth edges: about 3 x as fast."),
    ] = False,
    per_file: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The first N demonstrations of each file alone."),
    ] = None,
    holdout: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Share of the source demonstrations that is kept for the test."
        ),
    ] = 0.1,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, metavar="N", help="Of that choice.")
    ] = 0,
    no_stamps: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--no-stamps",
            help="Clips and labels alone, no stamped clips and no datasets of conversations.",
        ),
    ] = False,
    recorded_fps: Annotated[
        float | None,
        typer.Option(
            metavar="HZ", help="Recorded states a second, where the files say it wrongly."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes.")] = 1,
) -> None:
    """Make labelled clips of demonstrations that robosuite or MimicGen recorded without pictures.

    Draws the recorded states with MuJoCo (the extra `simulate`), headless, and reads from them when
    every subtask ends. Writes clips, labels, datasets of conversations, a split by source
    demonstration, and card.md, which says what is in it.
    """
    from kairoscope.data.taskfiles import load_task
    from kairoscope.recipes import get_recipe
    from kairoscope.render.produce import Look
    from kairoscope.render.render_set import render_set

    # Workers end with the command, on Ctrl-C too; what is cleared up behind them is no news.
    sys.warnoptions.append("ignore:resource_tracker")
    look = Look(camera=camera, size_px=size, fps=float(fps), quality="fast" if fast else "full")
    with bars() as progress:
        done = render_set(
            files,
            folder,
            look=look,
            task=load_task(task) if task is not None else None,
            dialogue=None if no_stamps else get_recipe("subtask-times").task,
            assets=assets or (),
            per_file=per_file,
            holdout=holdout,
            seed=seed,
            stamps=not no_stamps,
            workers=workers,
            recorded_fps=recorded_fps,
            on_progress=progress,
        )
    for remark in done.notes:
        note("note: ", remark)
    for name, reason in done.problems[:MAX_LISTED]:
        note("left out: ", reason if name in reason else f"{name}: {reason}")
    if len(done.problems) > MAX_LISTED:
        note(f"and {len(done.problems) - MAX_LISTED} more: ", f"{folder / 'problems.json'}")
    found = done.found
    say(
        f"{counted(len(found.rows), 'clip')}, {len(found.samples)} of them labelled "
        f"({len(found.train)} train, {len(found.test)} test), {len(done.problems)} left out"
    )
    for name in ("labels.jsonl", "card.md"):
        say(f"  {folder / name}")
