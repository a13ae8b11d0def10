"""`kairoscope run`: all stages of a recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
from kairoscope.cli.whole_options import (
    DataOption,
    DryRunOption,
    FolderOption,
    GrpoOption,
    GrpoSettingsOption,
    StagesOption,
)
from kairoscope.core import UserError

EXAMPLES = {
    "subtask-times": Path("examples/press"),
    "physics-score": Path("examples/physics"),
    "av-captions:driving_world": Path("examples/driving"),
    "av-questions": Path("examples/driving"),
}


@command("From videos to boundaries")
@with_store_options
def run(
    recipe: RecipeArgument,
    data: DataOption = None,
    folder: FolderOption = None,
    model: ModelOption = "builtin",
    stages: StagesOption = None,
    grpo: GrpoOption = False,  # noqa: FBT002
    grpo_settings: GrpoSettingsOption = None,
    dry_run: DryRunOption = False,  # noqa: FBT002
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
    print_done(target, page, wanted)


def print_done(folder: Path, page: Path, stages: Sequence[str]) -> None:
    """What changed, and where it is written."""
    print_before_after(folder)
    say(f"report: {page}" if page.suffix else f"done: {', '.join(stages)} in {page}")


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
    from kairoscope.report.recipe.run import read_recipe_run

    found = read_recipe_run(folder)
    if found.zero_shot is not None and found.re_evaluation is not None:
        before, after = found.zero_shot.metrics, found.re_evaluation.metrics
        show(before_after_table(before, after, found.differences))
