"""`kairoscope evaluate` and `score`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import command, counted, note, say, show
from kairoscope.cli.options import (
    DECODING,
    BatchOption,
    ConfigOption,
    DataOption,
    DeviceOption,
    FramesOption,
    ModelOption,
    OutOption,
    PromptOption,
    RecipeArgument,
    check_model,
    read_config,
)
from kairoscope.cli.progress import bars
from kairoscope.cli.server_options import with_server_options
from kairoscope.models.server.options import ServerOptions

MAX_LISTED = 10


@command("Evaluate and train")
@with_server_options
def evaluate(
    recipe: RecipeArgument,
    data: DataOption,
    folder: OutOption,
    model: ModelOption = "builtin",
    decoding: Annotated[str | None, DECODING] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Answers for each clip (default: 1).")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="T", help="0 takes the likeliest token (default: 0)."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of drawn answers (default: 0).")
    ] = None,
    control: Annotated[
        bool | None,
        typer.Option(
            "--control/--no-control",
            help="Ask about wrong clips, too: what remains was not seen (default: control).",
        ),
    ] = None,
    prompt: PromptOption = None,
    config: ConfigOption = None,
    frames: FramesOption = None,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    *,
    server: ServerOptions,
) -> None:
    """Ask a model about labelled clips and score its answers, failures included.

    Writes metrics.json, every answer (records.jsonl), problems.json and report.html.
    """
    check_model(model, server)
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.stages import evaluate_stage, load_data, load_engine
    from kairoscope.report.console import metrics_table
    from kairoscope.settings import assignments, changed

    chosen = get_recipe(recipe)
    tables = read_config(config)
    options: dict[str, Any] = {"decoding": decoding, "wrong_video_control": control}
    drawn: dict[str, Any] = {"trials": trials, "temperature": temperature, "seed": seed}
    settings = changed(chosen.evaluation, tables["evaluation"], f"{config} [evaluation]")
    settings = changed(settings, _given(options), "command line")
    settings = changed(settings, {"sampling": _given(drawn)}, "command line")
    samples, problems = load_data(data)
    with bars() as progress:
        engine = load_engine(
            model, device=device, batch_size=batch_size, server=server, on_progress=progress
        )
        metrics = evaluate_stage(
            chosen,
            engine,
            samples,
            out=folder,
            config=settings,
            frames={**tables["frames"], **assignments(frames or [], "--frames")},
            on_progress=progress,
            problems=problems,
            prompt=prompt,
        )
    show(metrics_table(metrics, title=f"{chosen.name}: {model} on {data}"))
    print_problems(folder)
    say(f"report: {folder / 'report.html'}")


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
