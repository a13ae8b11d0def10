"""`kairoscope evaluate`, `score`, `report` and `run`."""

import json
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


@app.command()
def evaluate(
    recipe: RecipeArgument,
    data: DataOption,
    folder: OutOption,
    model: ModelOption = "builtin",
    decoding: Annotated[
        str, typer.Option(help="posterior, constrained or free (see docs/decoding.md).")
    ] = "posterior",
    trials: Annotated[int, typer.Option(min=1, max=1000, help="Answers for each clip.")] = 1,
    temperature: Annotated[float, typer.Option(min=0.0, max=10.0)] = 0.0,
    seed: int = 0,
    control: Annotated[bool, typer.Option(help="Ask about wrong clips, too.")] = True,  # noqa: FBT002
    frames: FramesOption = None,
    device: DeviceOption = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Clips in a forward pass.")] = None,
) -> None:
    """Ask a model about labelled clips and score its answers honestly."""
    from kairoscope.config import EvalConfig
    from kairoscope.core import Sampling
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.stages import evaluate_stage, load_data, load_engine
    from kairoscope.report.console import metrics_table
    from kairoscope.settings import assignments, changed

    chosen = get_recipe(recipe)
    sampling = Sampling(trials=trials, temperature=temperature, seed=seed)
    config = changed(
        EvalConfig(sampling=sampling, wrong_video_control=control),
        {"decoding": decoding},
        "--decoding",
    )
    samples, problems = load_data(data)
    engine = load_engine(model, device=device, batch_size=batch_size)
    with bars() as progress:
        metrics = evaluate_stage(
            chosen,
            engine,
            samples,
            out=folder,
            config=config,
            frames=assignments(frames or [], "--frames"),
            on_progress=progress,
            problems=problems,
        )
    out.print(metrics_table(metrics, title=f"{chosen.name}: {model} on {data}"))
    _print_problems(folder)
    out.print(f"report: {folder / 'report.html'}")


def _print_problems(folder: Path) -> None:
    """Name what went wrong, at most ten of it."""
    problems: list[dict[str, Any]] = json.loads((folder / "problems.json").read_text())
    if problems:
        out.print(f"[yellow]{len(problems)} problems[/], listed in {folder / 'problems.json'}")
    for problem in problems[:10]:
        out.print("  " + ": ".join(str(value) for value in problem.values()), highlight=False)


@app.command()
def score(
    predictions: Annotated[
        Path, typer.Argument(help="JSONL rows with video, trial, text or events.")
    ],
    gold: Annotated[Path, typer.Option("--gold", help="labels.jsonl, or the folder it is in.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Score anybody's answers. No clip needs to be there."""
    from kairoscope.report.console import metrics_table
    from kairoscope.scoring import score_predictions

    metrics = score_predictions(predictions, gold)
    if as_json:
        typer.echo(json.dumps(metrics, indent=1))
    else:
        out.print(metrics_table(metrics, title=f"{predictions} against {gold}"))


@app.command()
def run(
    recipe: RecipeArgument,
    data: DataOption,
    folder: OutOption,
    model: ModelOption = "builtin",
    stages: Annotated[
        str | None,
        typer.Option(help="Only these, with commas: zero-shot,analysis,… (default: all)."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,  # noqa: FBT002
    config: ConfigOption = None,
    settings: SetOption = None,
    frames: FramesOption = None,
    device: DeviceOption = None,
) -> None:
    """Take a recipe all the way: zero-shot, analysis, curation, SFT, re-evaluation, document."""
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.pipeline import STAGES, Pipeline, load_splits, run_recipe
    from kairoscope.recipes.stages import sft_config_for
    from kairoscope.settings import assignments, read_toml

    chosen = get_recipe(recipe)
    file: dict[str, Any] = read_toml(config) if config else {}
    changes = [
        (f"{config} [sft]", file.get("sft", {})),
        ("--set", assignments(settings or [], "--set")),
    ]
    wanted = [stage.strip() for stage in stages.split(",")] if stages else list(STAGES)
    with bars() as progress:
        pipeline = Pipeline(
            recipe=chosen,
            model=model,
            data=data,
            out=folder,
            evaluation=chosen.evaluation,
            sft=sft_config_for(chosen, model, changes),
            frames={**file.get("frames", {}), **assignments(frames or [], "--frames")},
            device=device,
            on_progress=progress,
        )
        if not dry_run:
            page = run_recipe(pipeline, wanted)
    if dry_run:
        _print_plan(pipeline, load_splits(data), wanted)
        return
    _print_before_after(folder)
    out.print(f"report: {page}")


def _print_plan(pipeline: Any, splits: Any, wanted: list[str]) -> None:
    from kairoscope.train.schedule import num_steps

    steps = num_steps(pipeline.sft, max(1, round(len(splits.train) * 0.85)))
    out.print(f"recipe {pipeline.recipe.name} with {pipeline.model}, in {pipeline.out}")
    out.print(f"{len(splits.train)} clips to train on, {len(splits.test)} to test on: {splits.how}")
    out.print(f"stages: {', '.join(wanted)}; about {steps} optimiser steps")
    for name, value in pipeline.config().items():
        out.print(f"  {name} = {value}", highlight=False)


def _print_before_after(folder: Path) -> None:
    """The before/after table, where both evaluations are there."""
    from kairoscope.report.console import before_after_table

    files = [folder / name / "metrics.json" for name in ("zero_shot", "re_evaluation")]
    if all(file.is_file() for file in files):
        before, after = (json.loads(file.read_text()) for file in files)
        out.print(before_after_table(before, after))
