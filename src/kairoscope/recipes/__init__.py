"""The recipes, by name."""

from kairoscope.config import Recipe
from kairoscope.recipes import subtask_times

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (subtask_times.RECIPE,)}
