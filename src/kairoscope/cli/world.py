"""`kairoscope simulate`."""

from typing import Annotated

import typer

from kairoscope.cli.app import app, out
from kairoscope.cli.options import OutOption
from kairoscope.cli.progress import bars


@app.command()
def simulate(
    folder: OutOption,
    clips: Annotated[int, typer.Option(min=1, help="Number of clips.")] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    families: Annotated[
        list[str] | None,
        typer.Option("--family", help="Kind of task; repeatable (default: all but press)."),
    ] = None,
    size: Annotated[
        int, typer.Option(min=96, max=512, help="Side of the picture in pixels.")
    ] = 256,
    fps: Annotated[float, typer.Option(min=4, max=60)] = 30.0,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
) -> None:
    """Render demonstrations with exact event times (needs the extra `simulate`)."""
    from kairoscope.simulate import FAMILIES_SEEN, generate

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
    out.print(f"{clips} clips and labels.jsonl in {folder}")
