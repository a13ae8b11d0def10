"""What a recipe's document leaves to the kind of its answers: times, scores, captions or others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kairoscope.report.blocks import Block, Card
from kairoscope.report.findings import Finding
from kairoscope.report.recipe.run import Evaluated, RecipeRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Everything else is the same for all: see `recipe_steps`."""

    summary: Callable[[RecipeRun], str]
    """The result of the whole run in a few sentences; there is an evaluation."""
    cards: Callable[[RecipeRun, Evaluated], Sequence[Card]]
    """The few figures that stand first; of the latest evaluation, beside the first."""
    benchmark: Callable[[RecipeRun], Sequence[Block]]
    """What the test clips are; `run.benchmark` may be None."""
    evaluation: Callable[[Evaluated, RecipeRun, str], Sequence[Block]]
    """Figures of one evaluation; the last argument names its plots."""
    comparison: Callable[[RecipeRun], Sequence[Block]]
    """Tables and plots of before and after, with examples; both are there. Nothing where they share no clip."""
    goals: Callable[[RecipeRun], Sequence[str]]
    """Targets beside what was measured of them."""
    lessons: Callable[[RecipeRun], Sequence[Finding]]
    """What the run taught: achievements are of severity `strength`."""
