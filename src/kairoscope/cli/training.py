"""`kairoscope new-model`, `sft` and `warm-up-vision`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kairoscope.cli.app import advise, command, counted, note, say
from kairoscope.cli.options import (
    ConfigOption,
    DataOption,
    DeviceOption,
    FramesOption,
    ModelOption,
    OutOption,
    PromptOption,
    RecipeArgument,
    SetOption,
    check_model,
    read_config,
)
from kairoscope.cli.progress import bars
from kairoscope.core import UserError
from kairoscope.limits import MOST_SEED

HELD_OUT_SHARE = 0.15
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
    samples, problems = load_data(data)
    policy = changed(chosen.frames, assignments(frames or [], "--frames"), "--frames")
    sizes = changed(Size(), assignments(size or [], "--size"), "--size")
    number = make_checkpoint(folder, chosen.task, samples, policy, sizes, seed)
    if problems:
        note(f"label rows that were not used: {len(problems)}, ", f"first: {problems[0]}")
    say(f"{folder}: {number / 1e6:.2f} million random weights, tokenizer, frame policy")


@command("Evaluate and train")
def sft(
    recipe: RecipeArgument,
    data: DataOption,
    folder: OutOption,
    model: ModelOption = "builtin",
    held_out: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Labelled clips to choose the best checkpoint on (default: 15 % of the groups).",
        ),
    ] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    prompt: PromptOption = None,
    frames: FramesOption = None,
    device: DeviceOption = None,
) -> None:
    """Fine-tune a checkpoint on labelled clips. Run it again after a kill to go on exactly.

    Writes the best checkpoint (best/, which transformers loads), train.jsonl, curation.json and
    training.html. Clips and labels that cannot be used are counted and listed.
    """
    check_model(model)
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.stages import load_data
    from kairoscope.recipes.training import curate_stage, sft_config_for, train_stage
    from kairoscope.settings import assignments

    chosen = get_recipe(recipe)
    tables = read_config(config)
    changes = [
        (f"{config} [sft]", tables["sft"]),
        ("--set", assignments(settings or [], "--set")),
    ]
    sft_config = sft_config_for(chosen, model, changes)
    samples, problems = load_data(data)
    chosen_on = load_data(held_out) if held_out else None
    with bars() as progress:
        curation = curate_stage(
            samples,
            problems,
            holdout=0.0 if held_out else HELD_OUT_SHARE,
            seed=sft_config.seed,
            on_progress=progress,
        )
        left_out = [f"{drop.sample_id}: {drop.reason}: {drop.detail}" for drop in curation.drops]
        left_out += [f"held out: {problem}" for problem in (chosen_on[1] if chosen_on else [])]
        list_left_out(left_out, folder / "curation.json")
        result = train_stage(
            chosen,
            model=model,
            train=curation.train,
            held_out=chosen_on[0] if chosen_on else curation.held_out,
            checksums=curation.hashes,
            out=folder,
            config=sft_config,
            frames={**tables["frames"], **assignments(frames or [], "--frames")},
            device=device,
            on_progress=progress,
            prompt=prompt,
            curation=curation.manifest(),
            on_advice=advise,
        )
    rejected = [f"{one.sample_id}: {one.reason}" for one in result.rejected]
    list_left_out(rejected, folder / "train.jsonl")
    judged = len(chosen_on[0] if chosen_on else curation.held_out)
    trained_on = counted(len(curation.train) - len(rejected), "clip")
    not_used = len(curation.drops) + len(rejected)
    say(
        f"trained on {trained_on}, {judged} held out, {not_used} left out; "
        f"{'best' if judged else 'last'} checkpoint, step {result.best_step} of "
        f"{result.num_steps}: {result.checkpoint}"
    )
    say(f"report: {folder / 'training.html'}")


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
