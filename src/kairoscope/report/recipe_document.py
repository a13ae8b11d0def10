"""The filled-in recipe: overview, six steps and conclusion, from a run folder and nothing else."""

from pathlib import Path

from kairoscope.report.blocks import (
    Block,
    Card,
    Cards,
    Contents,
    Heading,
    Number,
    Paragraph,
    Table,
)
from kairoscope.report.document import write_document
from kairoscope.report.figures import HEADLINE, Figure, dig, prior_coverage, shown, step_unit
from kairoscope.report.page import interval
from kairoscope.report.recipe_evaluation import analysis_blocks, benchmark_blocks, zero_shot_blocks
from kairoscope.report.recipe_results import conclusion_blocks, re_evaluation_blocks
from kairoscope.report.recipe_run import RecipeRun, read_recipe_run
from kairoscope.report.recipe_states import states_of, versions_block
from kairoscope.report.recipe_training import curation_blocks, training_blocks
from kairoscope.report.score_document import is_score_run, score_blocks


def write_recipe_document(folder: Path) -> Path:
    """Write `recipe.md`, `recipe.html` and `plots/` into a recipe's run folder.

    Returns the path of the HTML. Steps that were not run say so. Raises `UserError` where the
    folder is no run of a recipe.
    """
    run = read_recipe_run(folder)
    blocks = score_blocks(run) if is_score_run(run) else recipe_blocks(run)
    _, html = write_document(blocks, folder, "recipe")
    return html


def recipe_blocks(run: RecipeRun) -> list[Block]:
    """The whole document."""
    return [
        *overview_blocks(run),
        *benchmark_blocks(run),
        *zero_shot_blocks(run),
        *analysis_blocks(run),
        *curation_blocks(run),
        *training_blocks(run),
        *re_evaluation_blocks(run),
        *conclusion_blocks(run),
    ]


def overview_blocks(run: RecipeRun) -> list[Block]:
    """Title, the result in a few sentences, and which steps were run."""
    model = str(run.config.get("model", "a model"))
    workload = "Evaluation" if run.training is None else "Post-training (SFT)"
    return [
        Heading(1, f"{run.title} with {model}"),
        Paragraph(summary(run)),
        *_cards(run),
        Contents(),
        Heading(2, "Overview"),
        Table(("Model", "Workload", "Use case"), [[model, workload, run.title]], 3),
        Table(("Step", "State"), states_of(run), 2),
        versions_block(run),
    ]


def summary(run: RecipeRun) -> str:
    """The result of the whole run: the headline error before, after, and of the prior."""
    before = None if run.zero_shot is None else run.zero_shot.by_score.get(HEADLINE.score)
    after = None if run.re_evaluation is None else run.re_evaluation.by_score.get(HEADLINE.score)
    shown_figure = after or before
    found = run.re_evaluation or run.zero_shot
    if shown_figure is None:
        return "Nothing has been evaluated in this folder yet."
    sentences = []
    step = next((d for d in run.differences if d.kind is HEADLINE), None)
    if step is not None:
        unit = step_unit(HEADLINE.suffix)
        words = interval(step.interval, unit)
        sentences.append(
            f"On {step.num_clips} clips, the mean relative error of the ends went from "
            f"{shown(step.before, '%')} to {shown(step.after, '%')}"
            + (f" (difference {words} points with 95 % confidence)." if words else ".")
        )
    else:
        sentences.append(
            f"On {shown_figure.num_clips} clips, the mean relative error of the ends is "
            f"{shown(shown_figure.value, '%')}."
        )
    if shown_figure.prior is not None and shown_figure.skill is not None:
        coverage = "" if found is None else prior_coverage(found.metrics)
        sentences.append(
            f"The no-video prior errs by {shown(shown_figure.prior, '%')}"
            f"{' (' + coverage + ')' if coverage else ''}: skill {shown(shown_figure.skill)}."
        )
    ratio = None if found is None else dig(found.metrics, "wrong_video/mre_ratio")
    if ratio is not None:
        sentences.append(f"With a wrong video the error is {ratio:.1f} times as large.")
    goal = run.targets.get("mre_percent")
    if goal is not None:
        met = "reached" if shown_figure.value < goal else "not reached"
        ends = shown_figure.interval
        doubt = ", though not beyond doubt" if ends and ends[0] < goal <= ends[1] else ""
        sentences.append(f"The goal, below {shown(goal, '%')}, is {met}{doubt}.")
    return " ".join(sentences)


def _cards(run: RecipeRun) -> list[Block]:
    """Before, after, and what both have to be seen beside."""
    found = run.re_evaluation or run.zero_shot
    figure = None if found is None else found.by_score.get(HEADLINE.score)
    if found is None or figure is None:
        return []
    before = None if run.zero_shot is None else run.zero_shot.by_score.get(HEADLINE.score)
    cards = []
    if run.re_evaluation is not None:
        cards.append(Card("Error after training", Number(figure.value, "%"), _ends(figure)))
    if before is not None:
        cards.append(Card("Error zero-shot", Number(before.value, "%"), _ends(before)))
    cards += [
        Card(
            "No-video prior",
            Number(figure.prior, "%"),
            f"median of other demonstrations {prior_coverage(found.metrics)}".strip(),
        ),
        Card("Skill over the prior", Number(figure.skill), "1 − error ÷ the prior's error"),
        Card("Wrong-video control", Number(figure.control, "%"), "error with another clip"),
        Card("Answered", Number(100 * float(found.metrics["answered"] or 0), "%"), "of all asked"),
    ]
    return [Cards(cards)]


def _ends(figure: Figure) -> str:
    ends = interval(figure.interval, figure.suffix)
    return f"95 %: {ends}" if ends else "mean relative error of ends"
