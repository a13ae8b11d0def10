"""The recipes, by name."""

from kairoscope.config import Recipe
from kairoscope.core import UserError
from kairoscope.recipes import av_captions, av_questions, conversation, physics_score, subtask_times

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        subtask_times.RECIPE,
        physics_score.RECIPE,
        av_captions.RECIPE,
        conversation.RECIPE,
        av_questions.RECIPE,
        av_questions.IN_WORDS_RECIPE,
    )
}


def get_recipe(name: str) -> Recipe:
    """The recipe of that name; hyphens and underscores are alike.

    `av-captions:SCHEMA` is the one for captions by another schema: a shipped one, or a `.toml` file.
    """
    kind, _, schema = name.partition(":")
    if schema and kind.replace("_", "-") == av_captions.NAME:
        return av_captions.recipe_of(schema)
    recipe = RECIPES.get(name.replace("_", "-"))
    if recipe is None:
        raise UserError(f"no recipe {name!r}; there are: {', '.join(RECIPES)}")
    return recipe
