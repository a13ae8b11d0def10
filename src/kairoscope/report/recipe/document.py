"""The filled-in recipe: overview, six steps and conclusion, from a run folder and nothing else."""

from pathlib import Path

from kairoscope.report.captions.figures import KIND as CAPTION
from kairoscope.report.document import write_document
from kairoscope.report.recipe.captions import CAPTIONS
from kairoscope.report.recipe.others import OTHERS
from kairoscope.report.recipe.run import RecipeRun, read_recipe_run
from kairoscope.report.recipe.scores import SCORES
from kairoscope.report.recipe.steps import recipe_blocks
from kairoscope.report.recipe.times import TIMES
from kairoscope.report.recipe.words import Words
from kairoscope.report.scores.figures import KIND as SCORE

WORDS: dict[str | None, Words] = {None: TIMES, SCORE: SCORES, CAPTION: CAPTIONS}
"""`kind` of the metrics -> its part of the document."""


def write_recipe_document(folder: Path) -> Path:
    """Write `recipe.md`, `recipe.html` and `plots/` into a recipe's run folder.

    Returns the path of the HTML. Steps that were not run say so. Raises `UserError` where the
    folder is no run of a recipe.
    """
    run = read_recipe_run(folder)
    _, html = write_document(recipe_blocks(run, words_for(run)), folder, "recipe")
    return html


def words_for(run: RecipeRun) -> Words:
    """By what was measured; before anything was, by what the benchmark says of its labels."""
    found = run.zero_shot or run.re_evaluation
    if found is not None:
        return WORDS.get(found.metrics.get("kind"), OTHERS)
    has_scores = run.benchmark is not None and "labels" in run.benchmark
    return SCORES if has_scores else TIMES
