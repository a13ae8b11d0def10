"""`kairoscope new-model` and `kairoscope sft`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import app, out
from kairoscope.cli.progress import bars


@app.command("new-model")
def new_model(
    folder: Annotated[Path, typer.Argument(help="Where to write the checkpoint.")],
    data: Annotated[
        list[Path], typer.Option("--data", help="Labelled data whose texts train the tokenizer.")
    ],
    recipe: Annotated[str, typer.Option(help="Recipe whose prompts train the tokenizer.")] = (
        "subtask-times"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the random weights.")] = 0,
    size: Annotated[
        list[str] | None, typer.Option("--size", help="Sizes as name=value, as text_width=192.")
    ] = None,
    frames: Annotated[
        list[str] | None, typer.Option("--frames", help="Frame policy as name=value.")
    ] = None,
) -> None:
    """Make a small Qwen2.5-VL checkpoint with random weights and its own tokenizer."""
    from kairoscope.models.scratch import Size, make_checkpoint
    from kairoscope.recipes import get_recipe
    from kairoscope.settings import assignments, changed

    chosen = get_recipe(recipe)
    samples = [sample for path in data for sample in chosen.task.load(path)]
    policy = changed(chosen.frames, assignments(frames or [], "--frames"), "--frames")
    sizes = changed(Size(), assignments(size or [], "--size"), "--size")
    number = make_checkpoint(folder, chosen.task, samples, policy, sizes, seed)
    out.print(f"{folder}: {number / 1e6:.2f} million random weights, tokenizer, frame policy")


@app.command()
def sft(
    recipe: Annotated[str, typer.Argument(help="Recipe, such as subtask-times.")],
    data: Annotated[Path, typer.Option("--data", help="Labelled clips to train on.")],
    run: Annotated[Path, typer.Option("--out", help="Run folder; run again to go on in it.")],
    model: Annotated[str, typer.Option("--model", help="Checkpoint to start from.")] = "builtin",
    held_out: Annotated[
        Path | None, typer.Option(help="Labelled clips to choose the best checkpoint on.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML with [sft] and [frames].")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting as name=value; repeatable.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …")] = None,
) -> None:
    """Fine-tune a checkpoint on labelled clips."""
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.stages import train_stage
    from kairoscope.settings import assignments, changed, read_toml

    chosen = get_recipe(recipe)
    file: dict[str, Any] = read_toml(config) if config else {}
    sft_config = changed(chosen.sft, file.get("sft", {}), f"{config} [sft]")
    sft_config = changed(sft_config, assignments(settings or [], "--set"), "--set")
    with bars() as progress:
        result = train_stage(
            chosen,
            model=model,
            data=data,
            held_out=held_out,
            out=run,
            config=sft_config,
            frames=file.get("frames"),
            device=device,
            on_progress=progress,
        )
    out.print(f"best checkpoint (step {result.best_step}): {result.checkpoint}")
