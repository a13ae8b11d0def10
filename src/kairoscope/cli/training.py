"""`kairoscope new-model`, `sft` and `warm-up-vision`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kairoscope.cli.app import advise, command, counted, note, say
from kairoscope.cli.options import (
    ConfigOption,
    DataOption,
    DeviceOption,
    FramesOption,
    ModelOption,
    PromptOption,
    SetOption,
    check_model,
    read_config,
)
from kairoscope.cli.processes import join_group
from kairoscope.cli.progress import bars
from kairoscope.cli.sft_options import (
    AllowOtherFramesOption,
    DryRunOption,
    HeldOutOption,
    LoggerOption,
    ManyDataOption,
    SFTConfigOption,
    SFTModelOption,
    SFTOutOption,
    SFTRecipeArgument,
)
from kairoscope.core import UserError
from kairoscope.limits import MOST_SEED

if TYPE_CHECKING:
    from kairoscope.config import Recipe
    from kairoscope.recipes.asked import Asked, Options
    from kairoscope.train.group import Group
    from kairoscope.train.served import RolloutServer

MAX_LISTED = 20


@command("Data, models, this machine", "new-model")
def new_model(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A new folder for the checkpoint.")
    ],
    data: DataOption,
    recipe: Annotated[
        str, typer.Option(metavar="RECIPE", help="Recipe whose texts train the tokenizer.")
    ] = "subtask-times",
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, metavar="N", help="Of the random weights.")
    ] = 0,
    size: Annotated[
        list[str] | None,
        typer.Option(
            "--size",
            metavar="NAME=VALUE",
            help="vision_depth, vision_width, vision_heads, text_depth, text_width, text_heads or "
            "text_kv_heads; repeatable (default: about 3 million weights).",
        ),
    ] = None,
    frames: FramesOption = None,
) -> None:
    """Make a small Qwen2.5-VL checkpoint with random weights and its own tokenizer.

    It knows nothing yet: `kairoscope sft` teaches it.
    """
    from kairoscope.models.scratch import Size, make_checkpoint
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.stages import load_data
    from kairoscope.settings import assignments, changed

    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder}: is there already; choose a new folder for the checkpoint")
    chosen = get_recipe(recipe)
    samples, problems = load_data(data, chosen.task.load)
    policy = changed(chosen.frames, assignments(frames or [], "--frames"), "--frames")
    sizes = changed(Size(), assignments(size or [], "--size"), "--size")
    number = make_checkpoint(folder, chosen.task, samples, policy, sizes, seed)
    if problems:
        note(f"label rows that were not used: {len(problems)}, ", f"first: {problems[0]}")
    say(f"{folder}: {number / 1e6:.2f} million random weights, tokenizer, frame policy")


@command("Evaluate and train")
def sft(
    recipe: SFTRecipeArgument = None,
    data: ManyDataOption = None,
    folder: SFTOutOption = None,
    model: SFTModelOption = None,
    held_out: HeldOutOption = None,
    config: SFTConfigOption = None,
    settings: SetOption = None,
    prompt: PromptOption = None,
    frames: FramesOption = None,
    allow_other_frames: AllowOtherFramesOption = False,  # noqa: FBT002
    logger: LoggerOption = None,
    dry_run: DryRunOption = False,  # noqa: FBT002
    device: DeviceOption = None,
) -> None:
    """Fine-tune a checkpoint on labelled clips. Run it again after a kill to go on exactly.

    Writes the best checkpoint (best/, which transformers loads), train.jsonl, curation.json and
    training.html. Clips and labels that cannot be used are counted and listed. Under torchrun, several
    processes share the work. A TOML file of cosmos-rl works as it is; --dry-run shows what every key of
    it becomes.
    """
    from kairoscope.recipes.asked import Options

    options = Options(
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
    train_with(options, recipe, prompt=prompt, device=device, dry_run=dry_run)


def train_with(
    options: "Options",
    recipe: str | None,
    *,
    prompt: Path | None,
    device: str | None,
    dry_run: bool,
    server: "RolloutServer | None" = None,
) -> None:
    """Train by either method, or show what that would be. Without a recipe the data choose one.

    `server`: see `recipes.training.train_stage`.
    """
    if options.model:
        check_model(options.model)
    from kairoscope.cli.dry_run import show_dry_run, warn_of
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.asked import asked_for
    from kairoscope.recipes.choosing import recipe_for

    group = None if dry_run else join_group()
    chosen = get_recipe(recipe) if recipe else recipe_for(options)
    if not recipe:
        note("recipe: ", f"{chosen.name}, the first that can read the data")
    if group is None:
        show_dry_run(asked_for(chosen, options, dry=True), chosen)
        return
    asked = asked_for(chosen, options)
    if server is not None:
        from kairoscope.train.served import check_served

        check_served(asked.config)
    if asked.mapped is not None:
        warn_of(asked.mapped)
    for words in asked.advice:
        advise(words)
    train_asked(chosen, asked, group, prompt=prompt, device=device, server=server)


def train_asked(
    recipe: "Recipe",
    asked: "Asked",
    group: "Group",
    *,
    prompt: Path | None,
    device: str | None,
    server: "RolloutServer | None" = None,
) -> None:
    """Curate, train, and say what came of it. `server`: see `recipes.training.train_stage`."""
    from kairoscope.recipes.curating import curate_stage
    from kairoscope.recipes.sources import load_sources
    from kairoscope.recipes.training import train_stage

    loaded = group.from_first(lambda: load_sources(asked.sources, recipe.task.load))
    apart = asked.held_out
    chosen_on = group.from_first(lambda: load_sources([apart], recipe.task.load)) if apart else None
    share = 0.0 if apart else asked.holdout_share(len(loaded.samples))
    with bars() as progress:
        curation = group.from_first(
            lambda: curate_stage(
                loaded.samples,
                loaded.problems,
                holdout=share,
                seed=asked.config.seed,
                on_progress=progress,
            )
        )
        left_out = [f"{drop.sample_id}: {drop.reason}: {drop.detail}" for drop in curation.drops]
        found_apart = chosen_on.problems if chosen_on else []
        apart_problems = [str(one) for one in found_apart if not one.is_used]
        left_out += [f"held out: {one}" for one in apart_problems]
        list_left_out(left_out, asked.out / "curation.json")
        for remark in (*curation.remarks, *(str(one) for one in found_apart if one.is_used)):
            note("note: ", remark)
        result = train_stage(
            recipe,
            model=asked.model,
            train=curation.train,
            held_out=chosen_on.samples if chosen_on else curation.held_out,
            checksums=curation.hashes,
            out=asked.out,
            config=asked.config,
            frames=asked.frames,
            device=device,
            on_progress=progress,
            prompt=prompt,
            curation=curation.manifest() | ({"held_out_problems": apart_problems} if apart else {}),
            on_plan=lambda text: note("cache: " if asked.cached else "plan: ", text),
            on_advice=advise,
            mix=loaded.mix,
            logging=asked.logging,
            mapping=asked.mapped.rows if asked.mapped else (),
            server=server,
            group=group,
        )
    group.leave()
    rejected = [f"{one.sample_id}: {one.reason}" for one in result.rejected]
    list_left_out(rejected, asked.out / "train.jsonl")
    judged = len(chosen_on.samples if chosen_on else curation.held_out)
    trained_on = counted(len(curation.train) - len(rejected), "clip")
    not_used = len(curation.drops) + len(rejected)
    stopped = result.last_step < result.num_steps
    say(
        f"trained on {trained_on}, {judged} held out, {not_used} left out; "
        f"{'best' if judged else 'last'} checkpoint, step {result.best_step} of "
        f"{result.num_steps}{f', ended at {result.last_step}' if stopped else ''}: "
        f"{result.checkpoint}"
    )
    say(f"report: {asked.out / 'training.html'}")


@command("Data, models, this machine")
def warm_up_vision(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A new folder for the checkpoint.")
    ],
    data: DataOption,
    model: ModelOption = "builtin",
    config: ConfigOption = None,
    settings: SetOption = None,
    frames: FramesOption = None,
    device: DeviceOption = None,
) -> None:
    """Teach a new vision tower to see the hand, before the language model joins.

    Needs tracks.jsonl beside the labels, which `kairoscope simulate` writes. The checkpoint is
    there once it is whole; until then FOLDER.unfinished holds what the same command goes on from.
    """
    check_model(model)
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.training import sft_config_for
    from kairoscope.recipes.warm_up import warm_up_stage
    from kairoscope.settings import assignments

    recipe = get_recipe("subtask-times")
    tables = read_config(config)
    changes = [
        (f"{config} [sft]", tables["sft"]),
        ("--set", assignments(settings or [], "--set")),
    ]
    with bars() as progress:
        result = warm_up_stage(
            recipe,
            model=model,
            data=data,
            out=folder,
            config=sft_config_for(recipe, model, changes),
            frames={**tables["frames"], **assignments(frames or [], "--frames")},
            device=device,
            on_progress=progress,
            on_advice=advise,
        )
    list_left_out(result.left_out, folder / "left_out.json")
    clips = counted(result.num_clips, "clip")
    say(f"{folder}: vision tower warmed up on {clips}, loss {result.loss:.3f} at the end")


def list_left_out(reasons: Sequence[str], file: Path) -> None:
    """Name what was not trained on, at most twenty of it."""
    for reason in reasons[:MAX_LISTED]:
        note("left out: ", reason)
    if len(reasons) > MAX_LISTED:
        note(f"and {len(reasons) - MAX_LISTED} more: ", f"{file}")
