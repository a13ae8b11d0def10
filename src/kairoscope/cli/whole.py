"""`kairoscope run`: all stages of a recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from kairoscope.cli.app import advise, command, say, show
from kairoscope.cli.cache import with_store_options
from kairoscope.cli.options import (
    ConfigOption,
    DeviceOption,
    FramesOption,
    ModelOption,
    PromptOption,
    RecipeArgument,
    SetOption,
    check_model,
    read_config,
)
from kairoscope.cli.progress import bars
from kairoscope.core import UserError

EXAMPLES = {
    "subtask-times": Path("examples/press"),
    "physics-score": Path("examples/physics"),
    "av-captions:driving_world": Path("examples/driving"),
}


@command("From videos to boundaries")
@with_store_options
def run(
    recipe: RecipeArgument,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Labelled clips: a folder with train and test in it, or anything that the other "
            "commands take, of which 30 % is set aside (default: the recipe's folder in examples).",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Where the run goes; run again to go on in it (default: runs/RECIPE).",
        ),
    ] = None,
    model: ModelOption = "builtin",
    stages: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Only these, with commas: benchmark, zero-shot, analysis, curation, sft, "
            "re-evaluation, report; with --grpo also grpo, grpo-evaluation (default: all).",
        ),
    ] = None,
    grpo: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--grpo", help="Reinforcement learning after the fine-tuning, judged again."),
    ] = False,
    grpo_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set-grpo",
            metavar="NAME=VALUE",
            help="Change a setting of --grpo, as max_steps=50; repeatable.",
        ),
    ] = None,
    dry_run: Annotated[  # noqa: FBT002
        bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
    ] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
    prompt: PromptOption = None,
    frames: FramesOption = None,
    device: DeviceOption = None,
    *,
    store: Any,
) -> None:
    """Take a recipe all the way: zero-shot, analysis, curation, SFT, re-evaluation, document.

    Writes recipe.html and recipe.md with everything that was measured, and one folder for each
    evaluation and for the training. A stage that is done is not repeated.
    """
    check_model(model)
    from kairoscope.recipes import get_recipe
    from kairoscope.recipes.pipeline import Pipeline, check_stages, plan, run_recipe
    from kairoscope.recipes.training import sft_config_for
    from kairoscope.settings import assignments, changed

    chosen = get_recipe(recipe)
    tables = read_config(config)
    if grpo_settings and not grpo:
        raise UserError("--set-grpo: only with --grpo")
    changes = [
        (f"{config} [sft]", tables["sft"]),
        ("--set", assignments(settings or [], "--set")),
    ]
    target = folder or Path("runs") / chosen.name
    with bars() as progress:
        pipeline = Pipeline(
            recipe=chosen,
            model=model,
            data=data or _example(chosen.name),
            out=target,
            evaluation=changed(chosen.evaluation, tables["evaluation"], f"{config} [evaluation]"),
            sft=sft_config_for(chosen, model, changes),
            grpo=_grpo_config(chosen, model, grpo_settings or []) if grpo else None,
            frames={**tables["frames"], **assignments(frames or [], "--frames")},
            device=device,
            on_progress=progress,
            prompt=prompt,
            on_advice=advise,
            store=store,
        )
        wanted = [stage.strip() for stage in stages.split(",")] if stages else pipeline.stages
        check_stages(wanted, pipeline.stages)
        if not dry_run:
            page = run_recipe(pipeline, wanted)
    if dry_run:
        for name, text in plan(pipeline, wanted):
            say(f"{name:>14}  {text}")
        return
    print_before_after(target)
    say(f"report: {page}" if page.suffix else f"done: {', '.join(wanted)} in {page}")


def _grpo_config(recipe: Any, model: str, changes: Sequence[str]) -> Any:
    """Settings of the reinforcement learning; refused before anything runs that takes minutes."""
    from kairoscope.recipes.training import grpo_config_for, with_rewards
    from kairoscope.settings import assignments

    given = [("--set-grpo", assignments(list(changes), "--set-grpo"))]
    return with_rewards(grpo_config_for(recipe, model, given), recipe)


def _example(recipe: str) -> Path:
    """The clips that ship for a recipe."""
    folder = EXAMPLES.get(recipe)
    if folder is None:
        raise UserError(f"--data is needed: no clips ship for {recipe}")
    if not folder.is_dir():
        raise UserError(f"--data is needed: there is no {folder} in this folder")
    return folder


def print_before_after(folder: Path) -> None:
    """The before/after table of a recipe's run, where both evaluations are there."""
    from kairoscope.report.console import before_after_table
    from kairoscope.report.recipe_run import read_recipe_run

    found = read_recipe_run(folder)
    if found.zero_shot is not None and found.re_evaluation is not None:
        before, after = found.zero_shot.metrics, found.re_evaluation.metrics
        show(before_after_table(before, after, found.differences))
