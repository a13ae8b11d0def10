"""`--refine` and `--trials` of `annotate`: boundaries that are asked about more than once."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from kairoscope.config import Recipe
from kairoscope.core import Decoding, Sampling, UserError
from kairoscope.recipes.stages import asked_with
from kairoscope.recipes.subtask_times import TASK
from kairoscope.refinement import Refined, check_refinable
from kairoscope.trials import Median, check_drawn

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
    decoding: Decoding,
    refine: bool,
    sampling: Sampling,
) -> "Engine":
    """The engine as `annotate` asks it: refined, or for several trials, or as it is.

    Raises UserError for both at once, and for a decoding with which that cannot be done.
    """
    if refine and sampling.trials > 1:
        raise UserError("--refine and --trials contradict each other: one needs distributions")
    if refine:
        check_refinable(decoding)
    if sampling.trials == 1:
        return refined(engine, recipe, prompt, refine=refine)
    check_drawn(decoding, sampling)
    task, _ = asked_with(recipe, prompt)
    return cast("Engine", Median(engine, task, sampling))
