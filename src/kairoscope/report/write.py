"""`kairoscope report RUN...`: the page that fits what the folders hold."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kairoscope.core import UserError
from kairoscope.report.annotation_page import write_annotation_page
from kairoscope.report.comparison_page import PAGE, write_comparison_page
from kairoscope.report.document import Heading, write_document
from kairoscope.report.evaluation_page import write_evaluation_page
from kairoscope.report.recipe_document import write_recipe_document
from kairoscope.report.recipe_training import log_blocks
from kairoscope.report.training import read_training
from kairoscope.runs import Run


def write_report(
    folders: Sequence[Path],
    *,
    out: Path | None = None,
    targets: Mapping[str, float] | None = None,
) -> Path:
    """Write the report of one run into its folder, or of several evaluations beside each other.

    Args:
        folders: one run of any kind, or two and more evaluations, the first to compare with.
        out: page or folder of a comparison; by default `comparison.html` in the first run.
        targets: goals of the recipe, for an evaluation's page.

    Returns:
        The path of the HTML page.

    Raises:
        UserError: no folder, one that is no run, or `out` for a single run.
    """
    if not folders:
        raise UserError("name one run folder, or several to compare")
    if len(folders) > 1:
        page = folders[0] / PAGE if out is None else out
        return write_comparison_page(folders, page if page.suffix == ".html" else page / PAGE)
    if out is not None:
        raise UserError("--out is for a comparison; a single run's page goes into its own folder")
    run = Run.read(folders[0])
    if run.kind == "evaluation":
        return write_evaluation_page(run.path, targets=targets)
    if run.kind == "recipe":
        return write_recipe_document(run.path)
    if run.kind == "annotation":
        task = run.config.get("task", {})
        title = str(task.get("name", "Annotation")) if isinstance(task, dict) else str(task)
        about = [("model", str(run.config.get("model", "")))]
        return write_annotation_page(run.path, title=title, about=about)
    if run.kind == "sft":
        heading = Heading(1, f"Training of {run.config.get('model', 'a checkpoint')}")
        blocks = [heading, *log_blocks(run, read_training(run), targets or {})]
        return write_document(blocks, run.path, "training")[1]
    raise UserError(f"{run.path}: a run of kind {run.kind!r} has no report")
