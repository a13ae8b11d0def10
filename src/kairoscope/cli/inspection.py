"""`kairoscope inspect`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.progress import bars
from kairoscope.core import UserError

MAX_LISTED = 20


@command("From videos to boundaries")
def inspect(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET",
            help="HDF5 of robomimic, MimicGen or Isaac Lab, a LeRobot folder, or a folder of clips "
            "with labels.jsonl.",
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="Also say which events of this task (file or name) the signals decide.",
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(metavar="FPS", help="Frames a second, where they are recorded wrongly."),
    ] = None,
    as_json: Annotated[  # noqa: FBT002
        bool, typer.Option("--json", help="Print JSON and nothing else.")
    ] = False,
) -> None:
    """Say what is in a robot dataset, and what annotate would use of it.

    Rates, lengths, cameras, channels with units and ranges, labels and who made them, the gripper
    that was found and why; what is wrong, counted and listed. Nothing is written.
    """
    from kairoscope.annotate.folder import open_any
    from kairoscope.annotate.survey import survey
    from kairoscope.data.taskfiles import load_task

    asked = load_task(task) if task else None
    dataset = open_any(source, fps=fps)
    with bars() as progress:
        found = survey(
            dataset,
            asked,
            on_episode=lambda done, total: progress("reading episodes", done, total),
        )
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        _print(found)
    if not found["num_readable"]:
        reason = next((p["reason"] for p in found["problems"]), "it lists none")
        raise UserError(f"{source}: not one episode can be read; {reason}")


def _print(found: Mapping[str, Any]) -> None:
    frames, seconds = found["num_frames"], found["duration_s"]
    _line("format", f"{found['format']}, {_rate(found['fps'])}")
    _line("episodes", f"{found['num_episodes']}, {found['num_readable']} of them can be read")
    if frames:
        _line(
            "length",
            f"{frames['min']} to {frames['max']} frames, {seconds['min']:.2f} to "
            f"{seconds['max']:.2f} s, the middle one {seconds['median']:.2f} s",
        )
    for text, count in found["tasks"].items():
        _line("instruction", f"{text or 'none'} ({counted(count, 'episode')})")
    for camera in found["cameras"]:
        kind = "video" if camera["kind"] == "video" else "pictures in the data files"
        count = counted(camera["num_episodes"], "episode")
        _line("camera", f"{camera['name']}: {kind}, {count}")
    for channel in found["channels"]:
        _line("channel", _channel(channel))
    for labels in found["labels"]:
        by = {"human": "by hand", "kairoscope": "by Kairoscope"}.get(
            labels["labelled_by"], "by whom is not recorded"
        )
        events = ", ".join(labels["events"])
        _line("labels", f"{counted(labels['num_episodes'], 'episode')} {by}: {events}")
    if not found["labels"]:
        _line("labels", "none")
    for gripper in found["grippers"]:
        _line("gripper", gripper)
    if not found["grippers"]:
        _line("gripper", "none was found")
    _print_uses(found)
    _print_wrong(found)


def _print_uses(found: Mapping[str, Any]) -> None:
    uses = found["annotate_uses"]
    first = "signals of the gripper, then " if uses["signals"] else ""
    seen = f"the model on camera {uses['camera']}" if uses["camera"] else "no video: no model"
    _line("annotate uses", f"{first}{seen}; {counted(uses['num_examples'], 'labelled example')}")
    if "task" not in found:
        return
    task = found["task"]
    for event, count in task["decided_by_signals"].items():
        signal = task["signals"].get(event)
        ends = f", written as signal {signal}" if signal else ""
        _line("event", f"{event}: signals decide it in {counted(count, 'episode')}{ends}")
    for remark in task["notes"]:
        note("note: ", remark)


def _print_wrong(found: Mapping[str, Any]) -> None:
    for remark in found["notes"]:
        note("note: ", remark)
    for remark in found["remarks"][:MAX_LISTED]:
        named = ", ".join(remark["episodes"])
        more = ", …" if remark["num_episodes"] > len(remark["episodes"]) else ""
        count = counted(remark["num_episodes"], "episode")
        note("note: ", f"{remark['what']} ({count}: {named}{more})")
    for problem in found["problems"][:MAX_LISTED]:
        note("cannot be read: ", problem["reason"])
    if len(found["problems"]) > MAX_LISTED:
        note(f"and {len(found['problems']) - MAX_LISTED} more")


def _line(label: str, text: str) -> None:
    say(f"{label:>14}  {text}")


def _rate(fps: float | None) -> str:
    return "its frame rate is not known" if fps is None else f"{fps:g} frames a second"


def _channel(channel: Mapping[str, Any]) -> str:
    columns = channel["columns"]
    width = columns if isinstance(columns, int) else len(columns)
    parts = [f"{channel['name']}: {channel['kind']}, {counted(width, 'column')}"]
    if channel["range"]:
        low, high = channel["range"]
        parts.append(f"{low:.4g} to {high:.4g} {channel['unit'] or ''}".rstrip())
    if channel["num_not_finite"]:
        parts.append(f"{channel['num_not_finite']} values not finite")
    return ", ".join(parts)
