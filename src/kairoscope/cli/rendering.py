"""`kairoscope render`."""

import sys

from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.options import OutOption
from kairoscope.cli.progress import bars
from kairoscope.cli.rendering_options import (
    AssetsOption,
    CameraOption,
    FastOption,
    FilesArgument,
    FpsOption,
    HoldoutOption,
    NoStampsOption,
    PerFileOption,
    RecordedFpsOption,
    SeedOption,
    SizeOption,
    TaskOption,
    WorkersOption,
)

MAX_LISTED = 20


@command("Data, models, this machine")
def render(
    files: FilesArgument,
    folder: OutOption,
    camera: CameraOption = "agentview",
    size: SizeOption = 512,
    fps: FpsOption = 30.0,
    task: TaskOption = None,
    assets: AssetsOption = None,
    fast: FastOption = False,  # noqa: FBT002
    per_file: PerFileOption = None,
    holdout: HoldoutOption = 0.1,
    seed: SeedOption = 0,
    no_stamps: NoStampsOption = False,  # noqa: FBT002
    recorded_fps: RecordedFpsOption = None,
    workers: WorkersOption = 1,
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
