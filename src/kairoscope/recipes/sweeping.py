"""Several settings of an evaluation in one resumable run: every cell a run folder of its own.

    cells/<values>/     an evaluation each, like any other
    sweep.json          every cell's figures on the validation split, the winner, its figure on the test split
    sweep.html, .md     the same for people, with plots

What is finished is not asked again: cells are resumed as evaluations are, and values may be added to a
setting later.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kairoscope.config import Recipe
from kairoscope.core import UserError
from kairoscope.curate import clip_hashes
from kairoscope.data.rows import Problem
from kairoscope.data.split import split_by_group
from kairoscope.evaluate import samples_digest
from kairoscope.models.engines import Engine
from kairoscope.recipes.pages import write_page
from kairoscope.recipes.refining import refined
from kairoscope.recipes.stages import AnySample, Progress, asked_with, evaluate_stage
from kairoscope.recipes.sweep_cells import Cell
from kairoscope.report.sweeps.figures import CELLS, CellRun, Divided, sweep_figures
from kairoscope.runs import Run
from kairoscope.storage import plain

SPLIT_SEED = 0
FEWEST_GROUPS = 4
"""Two on each side: with one there is no interval."""
OpenModel = Callable[[str], Engine]
"""`--model` -> what answers; opened once for all its cells."""
Prices = Mapping[str, tuple[float, float]]
"""`--model` -> price of a million tokens asked and answered."""


def sweep_stage(
    recipe: Recipe,
    cells: Sequence[Cell],
    samples: Sequence[AnySample],
    *,
    out: Path,
    open_model: OpenModel,
    validation: float,
    on_progress: Progress,
    problems: Sequence[Problem] = (),
    prompt: Path | None = None,
    prices: Prices | None = None,
) -> dict[str, Any]:
    """Evaluate every cell in the run folder `out`; returns `sweep.json` and writes the page.

    A cell that fails is listed with the reason, and the others go on.

    Args:
        recipe: what is asked.
        cells: see `cells_of`; those of one model follow each other.
        samples: labelled ones.
        out: the run folder.
        open_model: see there.
        validation: share of the groups on which the winner is chosen.
        on_progress: told what is done.
        problems: of the data, listed in every cell.
        prompt: other words to ask with.
        prices: for the cost of a cell.

    Raises:
        UserError: not one cell has figures, or the folder belongs to something else.
    """
    divided = divide(samples, validation)
    settings = sweep_settings(recipe, cells, samples, validation, prompt)
    with Run.open(out, kind="sweep", config=settings) as run:

        def ask(cell: Cell, model: Engine) -> None:
            _evaluate(recipe, cell, model, samples, out, on_progress, problems, prompt)

        found = ask_cells(cells, open_model, ask, on_progress, prices or {})
        draws = cells[0].config.bootstrap_draws
        table = sweep_figures(out, found, divided, task=recipe.task, draws=draws)
        run.write_json("sweep.json", table)
        if table["winner"] is None:
            raise UserError(f"{out}: not one cell has figures; {table['cells'][0]['problem']}")
    write_page(out)
    return table


def ask_cells(
    cells: Sequence[Cell],
    open_model: OpenModel,
    ask: Callable[[Cell, Engine], None],
    on_progress: Progress,
    prices: Prices,
) -> list[CellRun]:
    """Evaluate cell after cell, one model in memory at a time; what fails is kept with its reason."""
    found = []
    model: tuple[str, Engine] | None = None
    for place, cell in enumerate(cells):
        on_progress("cells", place, len(cells))
        reason = None
        try:
            if model is None or model[0] != cell.model:
                model = None  # the weights of one model at a time
                model = (cell.model, open_model(cell.model))
            ask(cell, model[1])
        except (UserError, MemoryError, RuntimeError) as error:
            reason = _reason(error)
        found.append(
            CellRun(
                name=cell.name,
                folder=cell.folder,
                values=plain(cell.values),
                problem=reason,
                prices=prices.get(cell.model),
            )
        )
    on_progress("cells", len(cells), len(cells))
    return found


def _evaluate(
    recipe: Recipe,
    cell: Cell,
    model: Engine,
    samples: Sequence[AnySample],
    out: Path,
    on_progress: Progress,
    problems: Sequence[Problem],
    prompt: Path | None,
) -> None:
    evaluate_stage(
        recipe,
        refined(model, recipe, prompt, refine=cell.refine),
        samples,
        out=out / CELLS / cell.folder,
        config=cell.config,
        frames=cell.frames,
        on_progress=lambda what, done, total: on_progress(f"{what}, {cell.name}", done, total),
        problems=problems,
        prompt=prompt,
    )


def _reason(error: Exception) -> str:
    """Why a cell has no figures; a fault of the program rises."""
    if isinstance(error, UserError):
        return str(error)
    named = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    if named or "can't allocate memory" in str(error):
        return f"not enough memory ({' '.join(str(error).split())[:200]})"
    raise error


def sweep_settings(
    recipe: Recipe,
    cells: Sequence[Cell],
    samples: Sequence[AnySample],
    validation: float,
    prompt: Path | None,
) -> dict[str, Any]:
    """What makes it the same sweep: all but the values of the settings that differ between cells."""
    task, words = asked_with(recipe, prompt)
    first = cells[0]
    varied = set(first.values)
    evaluation = plain(first.config)
    fixed = {**evaluation.pop("sampling"), **evaluation, **plain(first.frames)}
    fixed |= {"model": first.model}
    return {
        "task": task.name,
        "task_version": task.version,
        "varied": sorted(varied),
        "fixed": {name: value for name, value in fixed.items() if name not in varied},
        "samples": samples_digest(task, samples),
        "validation": {"share": validation, "seed": SPLIT_SEED},
    } | words


def divide(samples: Sequence[AnySample], share: float) -> Divided:
    """Clips to choose on and clips to measure the choice on; no recording and no clip is in both.

    With fewer than four groups there is nothing to measure on, and the words say so.
    """
    labelled = [sample for sample in samples if sample.gold is not None]
    same = clip_hashes(labelled)
    test, validation = split_by_group(labelled, holdout=share, seed=SPLIT_SEED, same=same)
    groups = [len({sample.group for sample in part}) for part in (validation, test)]
    if min(groups) < FEWEST_GROUPS // 2:
        count = len({sample.group for sample in labelled})
        return Divided(
            validation=tuple(sample.id for sample in sorted(labelled, key=lambda s: s.id)),
            test=(),
            how=f"not split: {count} groups are too few for a validation and a test split of at "
            f"least {FEWEST_GROUPS // 2} each. The winner is chosen on all clips, so its figure is "
            "flattering, and nothing is left to measure it on",
        )
    return Divided(
        validation=tuple(sample.id for sample in validation),
        test=tuple(sample.id for sample in test),
        how=f"{share:.0%} of the groups of every scenario, drawn with seed {SPLIT_SEED}, are for "
        f"validation: {len(validation)} clips of {groups[0]} groups; the other {len(test)} clips of "
        f"{groups[1]} groups are the test. No recording and no clip is in both",
    )
