"""Which recipe some data is for, where nobody says it: the first that can read most of its rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kairoscope.config import Recipe
from kairoscope.core import FramePolicy, UserError
from kairoscope.cosmos_rl.mapping import is_cosmos_rl, read_cosmos_rl
from kairoscope.recipes import RECIPES, subtask_times
from kairoscope.recipes.asked import Options
from kairoscope.recipes.sources import Source, load_sources, parse_source, sources_from_table
from kairoscope.settings import read_toml

MOST = 0.5
"""Share of the rows that a recipe must be able to use."""


def recipe_for(options: Options) -> Recipe:
    """The recipe for the data of a training; subtask-times where that is not there, or for nobody."""
    sources = _sources(options)
    if not sources or not all(source.path.exists() for source in sources):
        return subtask_times.RECIPE
    return next(
        (recipe for recipe in RECIPES.values() if _readable(recipe, sources) >= MOST),
        subtask_times.RECIPE,
    )


def _sources(options: Options) -> tuple[Source, ...]:
    if options.data:
        return tuple(map(parse_source, options.data))
    tables: dict[str, Any] = read_toml(options.config) if options.config else {}
    if not is_cosmos_rl(tables):
        return sources_from_table(tables.get("data", {}), f"{options.config} [data]")
    mapped = read_cosmos_rl(tables, str(options.config), evaluation=FramePolicy())
    if not mapped.data:
        return ()
    return (Source(path=Path(mapped.data), column=mapped.column, split=mapped.split),)


def _readable(recipe: Recipe, sources: Sequence[Source]) -> float:
    """Share of the rows of which the recipe makes samples."""
    try:
        loaded = load_sources(sources, recipe.task.load)
    except UserError:
        return 0.0
    return len(loaded.samples) / max(1, len(loaded.samples) + len(loaded.problems))
