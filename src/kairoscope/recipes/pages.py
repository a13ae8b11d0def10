"""The page of any run, written from what is in its folder."""

from pathlib import Path

from kairoscope.core import UserError
from kairoscope.recipes import RECIPES
from kairoscope.report.annotation_page import write_annotation_page
from kairoscope.report.document import Heading, write_document
from kairoscope.report.evaluation.page import write_evaluation_page
from kairoscope.report.judgements.page import (
    JUDGEMENT,
    SIMILARITY,
    write_judge_page,
    write_likeness_page,
)
from kairoscope.report.labels.page import write_curation_page
from kairoscope.report.recipe.document import write_recipe_document
from kairoscope.report.recipe.training import log_blocks
from kairoscope.report.reinforcement import reinforcement_blocks
from kairoscope.report.sweeps.page import write_sweep_page
from kairoscope.report.training import read_training
from kairoscope.report.training_data import data_blocks, ending_blocks, mapping_blocks
from kairoscope.runs import Run


def write_page(folder: Path) -> Path:
    """Write the page of a run folder and return its path.

    Raises UserError where the folder is no run, or one that has nothing to show yet.
    """
    run = Run.read(folder)
    if run.kind == "recipe":
        return write_recipe_document(folder)
    if run.kind == "evaluation":
        recipe = RECIPES.get(str(run.config.get("task")))
        return write_evaluation_page(folder, targets=recipe.targets if recipe else None)
    if run.kind == "curation":
        return write_curation_page(folder)
    if run.kind == JUDGEMENT:
        return write_judge_page(folder)
    if run.kind == SIMILARITY:
        return write_likeness_page(folder)
    if run.kind == "sweep":
        return write_sweep_page(folder)
    if run.kind == "annotation":
        name = str(run.config["task"]["name"])
        about = [("model", str(run.config["model"])), ("task", name)]
        return write_annotation_page(folder, title=name, about=about)
    if run.kind == "sft":
        return write_training_page(folder)
    if run.kind == "grpo":
        return write_reinforcement_page(folder)
    raise UserError(f"{folder}: a run of kind {run.kind!r} has no page")


def write_training_page(folder: Path) -> Path:
    """`training.html` and `training.md`: settings, curves and held-out figures of a training run."""
    run = Run.read(folder)
    log = read_training(run)
    if not log.steps:
        raise UserError(f"{folder}: not one training step has been made yet")
    recipe = RECIPES.get(str(run.config.get("recipe")))
    title = Heading(1, f"Training of {run.config.get('model')}")
    blocks = [
        title,
        *log_blocks(run, log, recipe.targets if recipe else {}),
        *ending_blocks(log),
        *data_blocks(run, log),
        *mapping_blocks(run),
    ]
    _, html = write_document(blocks, folder, "training")
    return html


def write_reinforcement_page(folder: Path) -> Path:
    """`training.html` and `training.md` of a reinforcement learning run."""
    run = Run.read(folder)
    recipe = RECIPES.get(str(run.config.get("recipe")))
    blocks = reinforcement_blocks(run, recipe.targets if recipe else {})
    return write_document(blocks, folder, "training")[1]
