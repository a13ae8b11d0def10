"""`kairoscope evaluate` and `score`."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import command, counted, note, say, show
from kairoscope.cli.cache import with_store_options
from kairoscope.cli.evaluation_options import (
    BlindOption,
    ControlOption,
    DecodingOption,
    FpsOption,
    RotateOption,
    SeedOption,
    TemperatureOption,
    TrialsOption,
)
from kairoscope.cli.many import command_with, is_number, one_of
from kairoscope.cli.options import (
    BatchOption,
    ConfigOption,
    DataOption,
    DeviceOption,
    FramesOption,
    OutOption,
    PromptOption,
    RecipeArgument,
    RefineOption,
    read_config,
)
from kairoscope.cli.progress import Report, bars
from kairoscope.cli.server_options import print_usage, with_server_options
from kairoscope.cli.spread import Spread, say_shard_done, with_spread_options
from kairoscope.cli.sweeping import (
    Asked,
    ManyModels,
    ValidationOption,
    VaryOption,
    axes_of,
    is_no_recipe,
    sweep,
)
from kairoscope.core import UserError
from kairoscope.models.server.options import ServerOptions

MAX_LISTED = 10
MANY = {
    "--model": is_no_recipe,
    "--fps": is_number,
    "--trials": is_number,
    "--temperature": is_number,
    "--decoding": one_of(("posterior", "constrained", "free")),
}
"""Options of `evaluate` that take several values."""


@command("Evaluate and train", cls=command_with(MANY, whole=("--model",)))
@with_server_options
@with_store_options
@with_spread_options(shard=True)
def evaluate(
    recipe: RecipeArgument,
    data: DataOption,
    folder: OutOption,
    model: ManyModels = None,
    decoding: DecodingOption = None,
    fps: FpsOption = None,
    trials: TrialsOption = None,
    temperature: TemperatureOption = None,
    seed: SeedOption = None,
    control: ControlOption = None,
    blind: BlindOption = None,
    rotate: RotateOption = False,  # noqa: FBT002
    refine: RefineOption = False,  # noqa: FBT002
    prompt: PromptOption = None,
    config: ConfigOption = None,
    frames: FramesOption = None,
    vary: VaryOption = None,
    validation: ValidationOption = None,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    *,
    server: ServerOptions,
    store: Any,
    spread: Spread,
) -> None:
    """Ask a model about labelled clips and score its answers, failures included.

    Writes metrics.json, every answer (records.jsonl), problems.json and report.html.

    With several values of --model, --fps, --trials, --temperature, --decoding (as in --fps 4 8 12) or of
    any other setting (--vary), every combination is evaluated: a sweep. One table then says which does
    best on one part of the clips, and how well it does on the rest.
    """
    several = {"fps": fps, "decoding": decoding, "trials": trials, "temperature": temperature}
    models = model or ["builtin"]
    axes = axes_of({"model": models, **several}, vary or [], frames or [])
    asked = Asked(data, folder, prompt, device, batch_size, server, store, spread, refine, rotate)
    asked.check_models(models)
    from kairoscope.recipes import get_recipe

    chosen = get_recipe(recipe)
    given = {"wrong_video_control": control, "blind_control": blind}
    changes = {**_given(given), "sampling": _given({"seed": seed})}
    cells = _cells(chosen, axes, config, changes, frames or [])
    if refine:
        from kairoscope.refinement import check_refinable

        for cell in cells:
            check_refinable(cell.config.decoding)
    if len(cells) > 1:
        sweep(chosen, cells, asked, validation)
        return
    if validation is not None:
        raise UserError("--validation is for sweeps: no option has several values")
    _evaluate_one(chosen, cells[0], asked)


def _cells(
    recipe: Any,
    axes: dict[str, list[Any]],
    config: Path | None,
    changes: dict[str, Any],
    frames: list[str],
) -> Sequence[Any]:
    """Every combination of values; what has one value is that of the recipe, the file or the option."""
    from kairoscope.recipes.sweep_cells import cells_of
    from kairoscope.settings import assignments, changed

    tables = read_config(config)
    settings = changed(recipe.evaluation, tables["evaluation"], f"{config} [evaluation]")
    settings = changed(settings, changes, "command line")
    own_frames = {**tables["frames"], **assignments(frames, "--frames")}
    return cells_of(axes, config=settings, frames=own_frames)


def _evaluate_one(recipe: Any, cell: Any, asked: Asked) -> None:
    """Evaluate one setting and show what came out."""
    with bars() as progress:
        metrics = _evaluate(recipe, cell, asked, progress)
    if metrics is None:
        say_shard_done(asked.spread, asked.out)
        return
    from kairoscope.report.console import metrics_table

    show(metrics_table(metrics, title=f"{recipe.name}: {cell.model} on {asked.data}"))
    print_problems(asked.out)
    print_usage(asked.out)
    say(f"report: {asked.out / 'report.html'}")


def _evaluate(recipe: Any, cell: Any, asked: Asked, progress: Report) -> dict[str, Any] | None:
    """The evaluation of one setting; None where it is a share of one, and others are missing."""
    from kairoscope.recipes.sharding import evaluate_shard_stage
    from kairoscope.recipes.stages import evaluate_stage

    samples, problems = asked.samples(recipe)
    shard = asked.spread.shard
    stage = evaluate_stage if shard is None else partial(evaluate_shard_stage, shard=shard)
    return stage(
        recipe,
        asked.engine(cell.model, recipe, progress),
        samples,
        out=asked.out,
        config=cell.config,
        frames=cell.frames,
        on_progress=progress,
        problems=problems,
        prompt=asked.prompt,
    )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def print_problems(folder: Path) -> None:
    """Name what went wrong in an evaluation, at most ten of it."""
    file = folder / "problems.json"
    problems: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    if problems:
        note(f"{counted(len(problems), 'problem')}, ", f"listed in {file}")
    for problem in problems[:MAX_LISTED]:
        where = problem.get("sample_id", problem.get("where"))
        note(f"  {problem['kind']}: ", f"{where}: {problem['reason']}")


@command("Evaluate and train")
def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS.jsonl", help="Rows with video, trial, and text or events."
        ),
    ],
    gold: Annotated[
        Path,
        typer.Option("--gold", metavar="LABELS", help="labels.jsonl, or the folder it is in."),
    ],
    as_json: Annotated[  # noqa: FBT002
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Score anybody's answers against labels. No clip needs to be there, and no model."""
    from kairoscope.report.console import metrics_table
    from kairoscope.scoring import score_predictions

    metrics = score_predictions(predictions, gold)
    if as_json:
        typer.echo(json.dumps(metrics, indent=1))
        return
    show(metrics_table(metrics, title=f"{predictions} against {gold}"))
    for problem in metrics["problems_listed"][:MAX_LISTED]:
        note("not used: ", problem)
    count = sum(metrics["problems"].values())
    if count > MAX_LISTED:
        note(f"{count} problems in all, ", "up to 50 of them listed by --json")
