"""`kairoscope simulate`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import command, counted, say
from kairoscope.cli.options import OutOption
from kairoscope.cli.progress import bars
from kairoscope.core import UserError
from kairoscope.limits import MOST_SEED


class World(StrEnum):
    """What is simulated."""

    robot = "robot"
    physics = "physics"
    driving = "driving"


@command("Data, models, this machine")
def simulate(
    folder: OutOption,
    world: Annotated[
        World,
        typer.Argument(
            metavar="WORLD",
            help="robot: demonstrations with event times; physics: clips whose physics is right or "
            "wrong by an exact amount, scored 1 to 5; driving: clips of a road with their captions.",
        ),
    ] = World.robot,
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
            help="Of the robot's tasks; repeatable (default: all but press, which is kept as the unseen one).",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="96..512",
            help="Side of the picture in pixels, of drives its width (default: 256; physics 128; "
            "driving 288).",
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(metavar="4..60", help="Frames a second (default: 30; physics 16; driving 8)."),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=51,
            metavar="0..51",
            help="Of drives: higher makes smaller files (default: 23).",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes; clips of physics need none.")
    ] = 1,
) -> None:
    """Render demonstrations with exact event times (needs the extra `simulate`), or clips of physics or
    of drives.

    Writes clips and labels.jsonl, or of drives a .label.json beside each clip, which the other commands
    take as --data. Clips of physics come in fives: one scene with each score once. Drives are described
    by the schema driving_world: --data goes to the recipe av-captions:driving_world.
    """
    if families and world is not World.robot:
        raise UserError("--family is for the robot's world")
    if crf is not None and world is not World.driving:
        raise UserError("--crf is for drives")
    if world is World.physics:
        if workers > 1:
            raise UserError("--workers is not for clips of physics, which are quick to make")
        _physics(folder, clips, seed, size or 128, fps or 16.0)
        return
    if world is World.driving:
        _driving(folder, clips, seed, size or 288, fps or 8.0, crf, workers)
        return
    from kairoscope.simulate import FAMILIES_SEEN, generate

    # Workers end with the command, on Ctrl-C too; what is cleared up behind them is no news.
    sys.warnoptions.append("ignore:resource_tracker")
    with bars() as progress:
        generate(
            folder,
            num_clips=clips,
            seed=seed,
            families=tuple(families or FAMILIES_SEEN),
            size_px=size or 256,
            fps=fps or 30.0,
            workers=workers,
            on_progress=lambda done, total: progress("rendering", done, total),
        )
    say(f"{counted(clips, 'clip')} and labels.jsonl in {folder}")


def _physics(folder: Path, clips: int, seed: int, size_px: int, fps: float) -> None:
    from kairoscope.simulate.physics import generate_physics

    with bars() as progress:
        generate_physics(
            folder,
            num_clips=clips,
            seed=seed,
            size_px=size_px,
            fps=fps,
            on_progress=lambda done, total: progress("rendering", done, total),
        )
    say(f"{counted(clips, 'clip')} and labels.jsonl in {folder}")


def _driving(
    folder: Path,
    clips: int,
    seed: int,
    width_px: int,
    fps: float,
    crf: int | None,
    workers: int,
) -> None:
    from kairoscope.simulate.driving import generate_drives
    from kairoscope.simulate.render import CRF

    with bars() as progress:
        generate_drives(
            folder,
            num_clips=clips,
            seed=seed,
            width_px=width_px,
            height_px=max(96, width_px * 5 // 16 * 2),
            fps=fps,
            crf=CRF if crf is None else crf,
            workers=workers,
            on_progress=lambda done, total: progress("drawing", done, total),
        )
    say(f"{counted(clips, 'clip')} and their labels in {folder / 'clips'}")
