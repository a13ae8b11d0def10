"""`kairoscope simulate`."""

import sys
from typing import Annotated

import typer

from kairoscope.cli.app import command, counted, say
from kairoscope.cli.options import OutOption
from kairoscope.cli.progress import bars
from kairoscope.limits import MOST_SEED


@command("Data, models, this machine")
def simulate(
    folder: OutOption,
    clips: Annotated[
        int, typer.Option(metavar="N", help="Number of clips; a larger one adds to a folder.")
    ] = 100,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, metavar="N", help="Decides what every clip shows.")
    ] = 0,
    families: Annotated[
        list[str] | None,
        typer.Option(
            "--family",
            metavar="NAME",
            help="Kind of task; repeatable (default: all but press, which is kept as the unseen one).",
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(metavar="96..512", help="Side of the picture in pixels.")
    ] = 256,
    fps: Annotated[float, typer.Option(metavar="4..60", help="Frames a second.")] = 30.0,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes.")] = 1,
) -> None:
    """Render demonstrations with exact event times (needs the extra `simulate`).

    Writes clips and labels.jsonl, which the other commands take as --data.
    """
    from kairoscope.simulate import FAMILIES_SEEN, generate

    # Workers end with the command, on Ctrl-C too; what is cleared up behind them is no news.
    sys.warnoptions.append("ignore:resource_tracker")
    with bars() as progress:
        generate(
            folder,
            num_clips=clips,
            seed=seed,
            families=tuple(families or FAMILIES_SEEN),
            size_px=size,
            fps=fps,
            workers=workers,
            on_progress=lambda done, total: progress("rendering", done, total),
        )
    say(f"{counted(clips, 'clip')} and labels.jsonl in {folder}")
