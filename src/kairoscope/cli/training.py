"""`kairoscope new-model` and `kairoscope sft`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import app, out
from kairoscope.cli.options import (
    ConfigOption,
    DataOption,
    DeviceOption,
    FramesOption,
    ModelOption,
    OutOption,
    RecipeArgument,
    SetOption,
)
from kairoscope.cli.progress import bars


@app.command("new-model")
def new_model(
    folder: Annotated[Path, typer.Argument(help="Where to write the checkpoint.")],
    data: DataOption,
    recipe: Annotated[str, typer.Option(help="Recipe whose texts train the tokenizer.")] = (
        "subtask-times"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the random weights.")] = 0,
    size: Annotated[
        list[str] | None, typer.Option("--size", help="Sizes as name=value, as text_width=192.")
    ] = None,
    frames: FramesOption = None,
) -> None:
    """Make a small Qwen2.5-VL checkpoint with random weights and its own tokenizer."""
    from kairoscope.models.scratch import Size, make_checkpoint
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.stages import load_data
    from kairoscope.settings import assignments, changed

    chosen = get_recipe(recipe)
    samples, _ = load_data(data)
    policy = changed(chosen.frames, assignments(frames or [], "--frames"), "--frames")
    sizes = changed(Size(), assignments(size or [], "--size"), "--size")
    number = make_checkpoint(folder, chosen.task, samples, policy, sizes, seed)
    out.print(f"{folder}: {number / 1e6:.2f} million random weights, tokenizer, frame policy")


@app.command()
def sft(
    recipe: RecipeArgument,
    data: DataOption,
    folder: OutOption,
    model: ModelOption = "builtin",
    held_out: Annotated[
        Path | None,
        typer.Option(help="Labelled clips to choose the best checkpoint on (default: a split)."),
    ] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    device: DeviceOption = None,
) -> None:
    """Fine-tune a checkpoint on labelled clips. Run it again after a kill to go on exactly."""
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.stages import curate_stage, load_data, sft_config_for, train_stage
    from kairoscope.settings import assignments, read_toml

    chosen = get_recipe(recipe)
    file: dict[str, Any] = read_toml(config) if config else {}
    changes = [
        (f"{config} [sft]", file.get("sft", {})),
        ("--set", assignments(settings or [], "--set")),
    ]
    sft_config = sft_config_for(chosen, model, changes)
    samples, problems = load_data(data)
    where = {"train": str(data.resolve()), "held_out": str(held_out and held_out.resolve())}
    with bars() as progress:
        curation = curate_stage(
            samples,
            problems,
            holdout=0.0 if held_out else 0.15,
            seed=sft_config.seed,
            on_progress=progress,
        )
        chosen_on = load_data(held_out)[0] if held_out else curation.held_out
        result = train_stage(
            chosen,
            model=model,
            train=curation.train,
            held_out=chosen_on,
            data=where,
            out=folder,
            config=sft_config,
            frames=file.get("frames"),
            device=device,
            on_progress=progress,
        )
    for drop in curation.drops:
        out.print(f"left out {drop.sample_id}: {drop.reason} ({drop.detail})", highlight=False)
    for rejected in result.rejected:
        out.print(f"left out {rejected.sample_id}: {rejected.reason}", highlight=False)
    out.print(
        f"trained on {len(curation.train) - len(result.rejected)} of {curation.n_in} clips; "
        f"best checkpoint (step {result.best_step} of {result.num_steps}): {result.checkpoint}"
    )
