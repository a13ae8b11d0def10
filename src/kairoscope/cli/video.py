"""`kairoscope stamp` and `kairoscope frames`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import app, err, out
from kairoscope.cli.options import FramesOption
from kairoscope.cli.progress import bars


@app.command()
def stamp(
    source: Annotated[Path, typer.Argument(help="A video or a folder of videos.")],
    target: Annotated[Path, typer.Argument(help="Where the stamped video or videos go.")],
    frames: FramesOption = None,
    preset: Annotated[str, typer.Option(help="x264 preset.")] = "veryfast",
    crf: Annotated[int, typer.Option(min=0, max=51, help="x264 quality, lower is better.")] = 23,
) -> None:
    """Burn the time into every frame of videos (H.264, times and sound kept)."""
    from kairoscope.settings import assignments, changed
    from kairoscope.video.stampfile import FILE_POLICY, stamp_file
    from kairoscope.video.stampfolder import stamp_folder

    policy = changed(FILE_POLICY, assignments(frames or [], "--frames"), "--frames")
    if not source.is_dir():
        with bars() as progress:
            report = stamp_file(
                source,
                target / source.with_suffix(".mp4").name if target.is_dir() else target,
                policy,
                preset=preset,
                crf=crf,
                on_progress=lambda done, total: progress("frames", done, total),
            )
        state = "was there already" if report.skipped else f"{report.num_frames} frames stamped"
        out.print(f"{report.target}: {state}", *report.notes, sep="; ", highlight=False)
        return
    with bars() as progress:
        total = 0

        def begin(done: int, count: int, clip: Path) -> None:
            nonlocal total
            total = count
            progress(f"clips, {clip.name}", done, count)

        folder = stamp_folder(source, target, policy, preset=preset, crf=crf, on_progress=begin)
        progress("clips, done", total, total)
    skipped = sum(clip.skipped for clip in folder.clips)
    for problem in folder.problems:
        err.print(f"[yellow]not stamped:[/] {problem.source}: {problem.reason}", highlight=False)
    out.print(
        f"{len(folder.clips) - skipped} stamped, {skipped} were there already, "
        f"{len(folder.problems)} could not be read; in {target}"
    )


@app.command()
def frames(
    clip: Annotated[Path, typer.Argument(help="A video.")],
    fps: Annotated[
        float | None, typer.Option(min=0.1, max=60, help="Sampled frames a second.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Use this checkpoint's own frames (default: the recipe's).")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Where the contact sheet goes (default: CLIP.frames.png).")
    ] = None,
    frames: FramesOption = None,
) -> None:
    """Show what a model really sees of a clip: frames, size, tokens, stamps."""
    from kairoscope.models.frame_input import frame_input
    from kairoscope.recipes import get_recipe
    from kairoscope.settings import assignments, changed
    from kairoscope.video.budget import frame_report
    from kairoscope.video.frames import load_frames
    from kairoscope.video.sheet import contact_sheet

    own, geometry = frame_input(model)
    policy = own or get_recipe("subtask-times").frames
    policy = changed(policy, assignments(frames or [], "--frames"), "--frames")
    if fps is not None:
        policy = replace(policy, fps=fps)
    report = frame_report(clip, policy, geometry)
    path = sheet or Path(f"{clip.name}.frames.png")
    contact_sheet(load_frames(clip, policy, geometry), path, grid_px=geometry.unit_px)
    _print_report(report)
    out.print(f"contact sheet: {path}", highlight=False)


def _print_report(report: Any) -> None:
    info = report.info
    times = [f"{t:.2f}" for t in report.times_s]
    shown = times if len(times) <= 16 else [*times[:8], "…", *times[-4:]]
    rate = "variable" if info.variable_rate else "constant"
    for label, value in (
        (
            "clip",
            f"{info.width} x {info.height}, {info.num_frames} frames, {info.duration_s:.2f} s, "
            f"{info.fps:.3f} fps ({rate}), {info.codec}",
        ),
        ("frames taken", f"{len(times)}, at {' '.join(shown)} s"),
        ("frame size", f"{report.width} x {report.height} px, {report.patches_per_frame} patches"),
        ("vision tokens", f"{report.vision_tokens}, {report.budget_share:.1%} of the pixel budget"),
        ("small objects", f"5 % of the width is {report.small_object_patches:.1f} patches across"),
    ):
        out.print(f"[bold]{label:>14}[/]  {value}", highlight=False)
    for advice in report.advice:
        out.print(f"[yellow]{'advice':>14}[/]  {advice}", highlight=False)
