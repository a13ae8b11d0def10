"""`kairoscope simulate`."""

import sys
from pathlib import Path

from kairoscope.cli.app import command, counted, say
from kairoscope.cli.options import OutOption
from kairoscope.cli.progress import bars
from kairoscope.cli.world_options import (
    ClipsOption,
    CrfOption,
    FamiliesOption,
    FpsOption,
    SeedOption,
    SizeOption,
    WorkersOption,
    World,
    WorldArgument,
)
from kairoscope.core import UserError


@command("Data, models, this machine")
def simulate(
    folder: OutOption,
    world: WorldArgument = World.robot,
    clips: ClipsOption = 100,
    seed: SeedOption = 0,
    families: FamiliesOption = None,
    size: SizeOption = None,
    fps: FpsOption = None,
    crf: CrfOption = None,
    workers: WorkersOption = 1,
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
