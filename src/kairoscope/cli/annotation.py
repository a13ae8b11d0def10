"""`kairoscope annotate`."""

from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import app, err, out
from kairoscope.cli.options import DeviceOption, FramesOption, ModelOption, OutOption
from kairoscope.cli.progress import bars


@app.command()
def annotate(
    source: Annotated[Path, typer.Argument(help="A video, a folder of videos, or a list of them.")],
    task: Annotated[
        str, typer.Option("--task", help="A task file (.toml) or the name of a shipped one.")
    ],
    folder: OutOption,
    model: ModelOption = "builtin",
    frames: FramesOption = None,
    device: DeviceOption = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Clips in a forward pass.")] = None,
) -> None:
    """Find when every event of a task starts and ends in videos; write boundaries and a page."""
    from kairoscope.data.clips import list_videos
    from kairoscope.data.taskfiles import load_task
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.stages import annotate_stage, load_engine
    from kairoscope.settings import assignments

    asked = load_task(task)
    clips = named_clips(source, list_videos(source))
    engine = load_engine(model, device=device, batch_size=batch_size)
    with bars() as progress:
        tally = annotate_stage(
            get_recipe("subtask-times"),
            engine,
            clips,
            asked,
            out=folder,
            frames=assignments(frames or [], "--frames"),
            on_progress=progress,
        )
    for clip, reason in tally.problems[:20]:
        err.print(f"[yellow]no boundaries:[/] {clip}: {reason}", highlight=False)
    if len(tally.problems) > 20:
        err.print(f"… and {len(tally.problems) - 20} more in {folder / 'problems.json'}")
    out.print(
        f"{tally.num_clips} clips, {tally.num_events} events, {tally.num_flagged} of them flagged "
        f"for a look; {len(tally.problems)} clips without boundaries"
    )
    for name in ("boundaries.csv", "boundaries.jsonl", "annotations.html"):
        out.print(f"  {folder / name}")


def named_clips(source: Path, videos: list[Path]) -> list[tuple[str, Path]]:
    """Clips by the name under which they are listed: relative to the source folder."""
    base = source if source.is_dir() else source.parent
    return [
        ((video.relative_to(base) if video.is_relative_to(base) else video).as_posix(), video)
        for video in videos
    ]
