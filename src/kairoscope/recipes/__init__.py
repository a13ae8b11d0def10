"""The recipes, by name."""

from kairoscope.config import Recipe
from kairoscope.core import UserError
from kairoscope.recipes import physics_score, subtask_times

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (subtask_times.RECIPE, physics_score.RECIPE)}


def get_recipe(name: str) -> Recipe:
    """The recipe of that name; hyphens and underscores are alike."""
    recipe = RECIPES.get(name.replace("_", "-"))
    if recipe is None:
        raise UserError(f"no recipe {name!r}; there are: {', '.join(RECIPES)}")
    return recipe
