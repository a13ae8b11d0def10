"""`kairoscope plan`: memory, steps and hours of a training run before its first step."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from kairoscope.cli.app import command, counted, note, say, show
from kairoscope.cli.options import (
    ConfigOption,
    DataOption,
    FramesOption,
    ModelOption,
    SetOption,
    read_config,
)
from kairoscope.cli.progress import bars

if TYPE_CHECKING:
    from kairoscope.recipes.planning import Plan

GIB = 2**30
PARTS = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimiser",
    "activations": "activations and temporary tensors",
    "communication": "put together from other devices",
}
SHOWN_UNUSABLE = 5


@command("Evaluate and train")
def plan(
    data: DataOption,
    model: ModelOption = "builtin",
    recipe: Annotated[
        str, typer.Option(metavar="RECIPE", help="Recipe whose task is trained.")
    ] = "subtask-times",
    devices: Annotated[
        int, typer.Option(min=1, max=65_536, metavar="N", help="Devices that train together.")
    ] = 1,
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="What they are: h200, h100, b200, a100-80gb, a100-40gb, l40s, l4, rtx-4090 or "
            "rtx-6000-ada (default: what this machine has).",
        ),
    ] = None,
    memory_gib: Annotated[
        float | None,
        typer.Option(min=0.01, metavar="GIB", help="Memory of each (default: what it has)."),
    ] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    frames: FramesOption = None,
    as_json: Annotated[  # noqa: FBT002
        bool, typer.Option("--json", help="Print JSON and nothing else.")
    ] = False,
) -> None:
    """Plan a fine-tuning run: memory of each device, steps, hours, and what to change.

    Loads no weights: a model's config.json is enough. Takes the settings that `sft` takes.
    """
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.machines import gpus, this_machine
    from kairoscope.recipes.planning import plan_stage, small_folder
    from kairoscope.recipes.training import sft_config_in
    from kairoscope.settings import assignments

    chosen = get_recipe(recipe)
    tables = read_config(config)
    changes = [
        (f"{config} [sft]", tables["sft"]),
        ("--set", assignments(settings or [], "--set")),
    ]
    machine = gpus(gpu, devices, memory_gib) if gpu else this_machine(devices, memory_gib)
    with bars() as progress:
        made = plan_stage(
            chosen,
            model=model,
            data=data,
            config=sft_config_in(small_folder(model), chosen, model, changes),
            frames={**tables["frames"], **assignments(frames or [], "--frames")},
            machine=machine,
            on_progress=progress,
        )
    if as_json:
        say(json.dumps(as_plain(made), indent=1))
        return
    show_plan(made)


def as_plain(made: "Plan") -> dict[str, Any]:
    """The plan as JSON, with the peak."""
    return {**asdict(made), "peak_gib": made.memory.peak / GIB}


def show_plan(made: "Plan") -> None:
    """Print a plan."""
    machine, memory = made.machine, made.memory
    table = Table("GiB of each device", "", title_justify="left")
    table.columns[1].justify = "right"
    for part, title in PARTS.items():
        value = getattr(memory, part)
        if value or part != "communication":
            table.add_row(title, f"{value / GIB:.2f}")
    table.add_row("  of these, logits at most", f"{memory.logits / GIB:.2f}")
    table.add_row("held-out evaluation: keys and values", f"{memory.cache / GIB:.2f}")
    table.add_section()
    table.add_row("peak", f"{memory.peak / GIB:.2f}")
    table.add_row("there is", f"{machine.memory_gib:.2f}")
    show(table)
    say(
        f"{made.model}: {made.num_weights / 1e6:,.1f} million weights, {made.num_trained / 1e6:,.1f} "
        f"million of them trained"
    )
    text = made.tokens_per_step - made.vision_tokens_per_step
    say(
        f"{counted(made.num_steps, 'step')} of {made.tokens_per_step:,.0f} tokens "
        f"({made.vision_tokens_per_step:,.0f} vision, {text:,.0f} text), longest sample "
        f"{made.longest_tokens:,}; {made.passes} micro-batch{'' if made.passes == 1 else 'es'} a step on each of "
        f"{machine.count} {machine.kind}"
    )
    say(
        f"about {_hours(made.hours)} at {made.use:.0%} of {machine.operations_per_s / 1e12:.3g} "
        "TFLOP/s each, evaluations and the first decoding not counted"
    )
    say(f"decoded clips take {made.clips_gib:.2f} GiB of host memory if all are kept")
    for reason in made.unusable[:SHOWN_UNUSABLE]:
        note("cannot be trained on: ", reason)
    if len(made.unusable) > SHOWN_UNUSABLE:
        note(f"and {len(made.unusable) - SHOWN_UNUSABLE} more")
    _show_ways(made)


def _show_ways(made: "Plan") -> None:
    if made.fits:
        say("it fits", "green")
        return
    say("it does not fit; one on top of the other:", "yellow")
    for way in made.ways:
        say(f"  {way.change}: {way.peak_gib:.2f} GiB{', which fits' if way.fits else ''}")
    if not made.ways or not made.ways[-1].fits:
        say("  and more devices, or devices with more memory")


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{hours * 60:.1f} minutes" if hours * 60 >= 1 else f"{hours * 3600:.0f} seconds"
