"""`--refine` and `--trials` of `annotate`: boundaries that are asked about more than once."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from kairoscope.config import Recipe
from kairoscope.core import Sampling, UserError
from kairoscope.recipes.stages import asked_with
from kairoscope.recipes.subtask_times import TASK
from kairoscope.refinement import Refined
from kairoscope.trials import Median

if TYPE_CHECKING:
    from kairoscope.models.engines import Engine


def refined(
    engine: "Engine", recipe: Recipe, prompt: Path | None, *, refine: bool = True
) -> "Engine":
    """The engine, asked twice where that is wanted, with the words of `prompt` both times.

    Raises UserError for a recipe whose answers are no times of events.
    """
    if not refine:
        return engine
    if recipe.task.name != TASK.name:
        raise UserError(f"--refine is for {TASK.name}: {recipe.name} has no boundaries")
    task, _ = asked_with(recipe, prompt)
    return cast("Engine", Refined(engine, task))


def asked_again(
    engine: "Engine",
    recipe: Recipe,
    prompt: Path | None,
    *,
    refine: bool,
    sampling: Sampling,
) -> "Engine":
    """The engine as `annotate` asks it: refined, or for several trials, or as it is.

    Raises UserError for both at once.
    """
    if sampling.trials == 1:
        return refined(engine, recipe, prompt, refine=refine)
    if refine:
        raise UserError("--refine and --trials contradict each other: one needs distributions")
    task, _ = asked_with(recipe, prompt)
    return cast("Engine", Median(engine, task, sampling))
