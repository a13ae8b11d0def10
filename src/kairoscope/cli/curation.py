"""`kairoscope curate`: clips and labels before anything is trained on them."""

from typing import Annotated, Any

import typer

from kairoscope.cli.app import command, counted, note, say
from kairoscope.cli.cache import with_store_options
from kairoscope.cli.options import (
    BatchOption,
    DataOption,
    DeviceOption,
    FramesOption,
    OutOption,
    PromptOption,
    RecipeArgument,
    check_model,
)
from kairoscope.cli.progress import bars
from kairoscope.cli.server_options import with_server_options
from kairoscope.models.server.options import ServerOptions

MAX_LISTED = 10


@command("Evaluate and train")
@with_server_options
@with_store_options
def curate(
    recipe: RecipeArgument,
    data: DataOption,
    folder: OutOption,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="Ask this one about every clip, too, and list the labels that it contradicts. It "
            "should know the task, and must not have learned these labels.",
        ),
    ] = None,
    prompt: PromptOption = None,
    frames: FramesOption = None,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    *,
    server: ServerOptions,
    store: Any,
) -> None:
    """Say which clips and labels a training would use, how even labels are, and which are in doubt.

    Writes curation.json, curation.html and, with a model, label_doubts.json: labels by the
    probability that it gives them, those that are most likely wrong first.
    """
    if model is not None:
        check_model(model, server)
    from dataclasses import replace

    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.label_check import check_labels_stage
    from kairoscope.recipes.stages import load_data, load_engine
    from kairoscope.settings import assignments

    chosen = get_recipe(recipe)
    samples, problems = load_data(data, chosen.task.load)
    with bars() as progress:
        engine = None
        if model is not None:
            engine = load_engine(
                model,
                device=device,
                batch_size=batch_size,
                server=server,
                store=store,
                task=chosen.name,
                on_progress=progress,
            )
        found = check_labels_stage(
            chosen,
            samples,
            problems,
            out=folder,
            model=engine,
            config=replace(chosen.evaluation, decoding="posterior", wrong_video_control=False),
            frames=assignments(frames or [], "--frames"),
            on_progress=progress,
            prompt=prompt,
        )
    _print(found)
    say(f"report: {folder / 'curation.html'}")


def _print(found: dict[str, Any]) -> None:
    from kairoscope.report.labels.counts import remarks, spoken
    from kairoscope.report.labels.doubts import contradicted_rows
    from kairoscope.report.labels.page import verdict

    for drop in found["drops"][:MAX_LISTED]:
        note("left out: ", f"{drop['sample_id']}: {drop['reason']}: {drop['detail']}")
    if len(found["drops"]) > MAX_LISTED:
        note(f"and {len(found['drops']) - MAX_LISTED} more: ", "curation.json")
    for remark in remarks(found["labels"]):
        note("labels: ", remark)
    doubts = found.get("doubts")
    for row in contradicted_rows(doubts or {})[:MAX_LISTED]:
        note(
            "look at: ",
            f"{row['sample_id']}: {spoken(row['slot'])} is labelled {row['label']}, the model says "
            f"{row['answer']} (support {row['support']:.1%})",
        )
    say(f"{counted(found['n_train'], 'clip')} of {found['n_in']} samples can be used")
    say(verdict(found, doubts))
