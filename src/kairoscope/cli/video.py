"""`kairoscope stamp` and `kairoscope frames`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.options import FramesOption
from kairoscope.cli.progress import Report, bars
from kairoscope.core import FramePolicy, UserError


@command("Videos")
def stamp(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A video, or a folder of videos.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="Where the stamped video or videos go.")
    ],
    frames: Annotated[
        list[str] | None,
        typer.Option(
            "--frames",
            metavar="NAME=VALUE",
            help="stamp=frame (every frame its own time) or stamp=pair (one time for two frames "
            "that are sampled at fps); stamp_place=over or stamp_place=band (below the picture); "
            "stamp_height=0.12; repeatable (default: stamp=frame, stamp_place=over).",
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(metavar="PRESET", help="Of x264, from ultrafast to placebo.")
    ] = "superfast",
    crf: Annotated[
        int, typer.Option(metavar="0..51", help="Quality of x264; lower is better.")
    ] = 23,
) -> None:
    """Burn the time into every frame of videos (H.264; frame times and sound are kept).

    Any frame rate, constant or not, odd sizes, rotation. A video that is there already, made
    from the same clip with the same settings, is left alone; one that cannot be read does not end the
    others.
    """
    from kairoscope.settings import assignments, changed
    from kairoscope.video.stampfile import FILE_POLICY

    policy = changed(FILE_POLICY, assignments(frames or [], "--frames"), "--frames")
    with bars() as progress:
        if source.is_dir():
            lines, problems = _stamp_folder(source, target, policy, preset, crf, progress)
        else:
            lines, problems = _stamp_one(source, target, policy, preset, crf, progress), []
    for problem in problems:
        note("not stamped: ", problem)
    for line in lines:
        say(line)
    if not lines:
        raise UserError(f"{source}: none of its videos ({len(problems)}) could be stamped")


def _stamp_one(
    source: Path, target: Path, policy: FramePolicy, preset: str, crf: int, progress: Report
) -> list[str]:
    from kairoscope.video.stampfile import stamp_file

    report = stamp_file(
        source,
        target / source.with_suffix(".mp4").name if target.is_dir() else target,
        policy,
        preset=preset,
        crf=crf,
        on_progress=lambda done, total: progress("frames", done, total),
    )
    state = (
        "was there already" if report.skipped else f"{counted(report.num_frames, 'frame')} stamped"
    )
    return ["; ".join((f"{report.target}: {state}", *report.notes))]


def _stamp_folder(
    source: Path, target: Path, policy: FramePolicy, preset: str, crf: int, progress: Report
) -> tuple[list[str], list[str]]:
    """Lines about what was done, none where nothing was; and what could not be stamped."""
    from kairoscope.video.stampfolder import stamp_folder

    count = 0

    def begin(done: int, total: int, clip: Path) -> None:
        nonlocal count
        count = total
        progress(f"stamping, {clip.name}", done, total)

    folder = stamp_folder(source, target, policy, preset=preset, crf=crf, on_progress=begin)
    progress("stamping", count, count)
    problems = [problem.reason for problem in folder.problems]
    if not folder.clips:
        return [], problems
    skipped = sum(clip.skipped for clip in folder.clips)
    return [
        f"{target}: {len(folder.clips) - skipped} stamped, {skipped} were there already, "
        f"{len(problems)} could not be read"
    ], problems


@command("Videos")
def frames(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video.")],
    fps: Annotated[
        float | None,
        typer.Option(metavar="FPS", help="Sampled frames a second (default: as the policy says)."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Use this checkpoint's own policy (default: the recipe's)."
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Where the contact sheet goes (default: CLIP.frames.png, here).",
        ),
    ] = None,
    frames: FramesOption = None,
) -> None:
    """Show what a model really sees of a clip: frame times, size, tokens, stamps.

    Writes a contact sheet, and says what to change where objects would cover too few patches.
    """
    from kairoscope.models.frame_input import frame_input
    from kairoscope.recipes import get_recipe
    from kairoscope.settings import assignments, changed
    from kairoscope.video.budget import frame_report
    from kairoscope.video.frames import load_frames
    from kairoscope.video.sheet import contact_sheet

    path = sheet or Path(f"{clip.name}.frames.png")
    if path.suffix.lower() != ".png":
        raise UserError(f"--sheet {path}: allowed: the name of a .png file")
    own, geometry = frame_input(model)
    policy = own or get_recipe("subtask-times").frames
    policy = changed(policy, assignments(frames or [], "--frames"), "--frames")
    if fps is not None:
        policy = changed(policy, {"fps": fps}, "--fps")
    report = frame_report(clip, policy, geometry)
    contact_sheet(load_frames(clip, policy, geometry), path, grid_px=geometry.unit_px)
    _print_report(report)
    say(f"contact sheet: {path}")


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
        say(f"{label:>14}  {value}")
    for advice in report.advice:
        say(f"{'advice':>14}  {advice}", "yellow")
