"""`kairoscope grpo`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import command
from kairoscope.cli.options import DeviceOption, FramesOption, PromptOption, SetOption
from kairoscope.cli.server_options import with_server_options
from kairoscope.cli.sft_options import (
    AllowOtherFramesOption,
    DryRunOption,
    HeldOutOption,
    LoggerOption,
    ManyDataOption,
    SFTModelOption,
    SFTOutOption,
)
from kairoscope.cli.training import train_with
from kairoscope.models.server.options import ServerOptions

GRPORecipeArgument = Annotated[
    str, typer.Argument(metavar="[RECIPE]", help="subtask-times or physics-score.")
]
GRPOConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        help=r"Settings in tables \[grpo], \[frames] and \[data] (path = weight), or a file of cosmos-rl "
        "for GRPO as it is; options on the command line win.",
    ),
]
RolloutsOption = Annotated[
    str | None,
    typer.Option(
        "--rollouts",
        metavar="openai:NAME",
        help="Let a vLLM server draw the answers (--base-url), which is given the weights before every "
        "step; it has to see the run's folder, or --shared-folder (default: this process draws).",
    ),
]
SERVER = ("base_url", "api_key_env", "send", "concurrency", "timeout_s", "shared_folder")


@command("Evaluate and train")
@partial(with_server_options, names=SERVER)
def grpo(
    recipe: GRPORecipeArgument = "subtask-times",
    data: ManyDataOption = None,
    folder: SFTOutOption = None,
    model: SFTModelOption = None,
    held_out: HeldOutOption = None,
    config: GRPOConfigOption = None,
    settings: SetOption = None,
    prompt: PromptOption = None,
    frames: FramesOption = None,
    allow_other_frames: AllowOtherFramesOption = False,  # noqa: FBT002
    logger: LoggerOption = None,
    dry_run: DryRunOption = False,  # noqa: FBT002
    device: DeviceOption = None,
    rollouts: RolloutsOption = None,
    *,
    server: ServerOptions,
) -> None:
    """Train a checkpoint on rewards for its own answers (GRPO). Run it again after a kill to go on exactly.

    Every step draws a group of answers to each of some prompts, rewards them, and makes those likelier that
    were better than their group. Begin with a checkpoint that can answer, from `kairoscope sft`. Writes the
    best checkpoint (best/), train.jsonl and training.html. Under torchrun, processes share the prompts.
    """
    from kairoscope.recipes.asked import Options

    options = Options(
        method="grpo",
        config=config,
        data=data or (),
        held_out=held_out,
        model=model,
        out=folder,
        settings=settings or (),
        frames=frames or (),
        loggers=logger or (),
        allow_other_frames=allow_other_frames,
    )
    drawn_by = None
    if rollouts is not None and not dry_run:
        from kairoscope.train.served import rollout_server

        drawn_by = rollout_server(rollouts, server)
    train_with(options, recipe, prompt=prompt, device=device, dry_run=dry_run, server=drawn_by)
