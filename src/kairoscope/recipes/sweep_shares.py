"""The share of one process in a sweep that several processes make: its share of every cell."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kairoscope.config import Recipe
from kairoscope.data.rows import Problem
from kairoscope.models.engines import Engine
from kairoscope.recipes.refining import refined
from kairoscope.recipes.sharding import evaluate_shard_stage
from kairoscope.recipes.stages import AnySample, Progress
from kairoscope.recipes.sweep_cells import Cell
from kairoscope.recipes.sweeping import OpenModel, Prices, ask_cells, sweep_settings, sweep_stage
from kairoscope.report.sweeps.figures import CELLS, CellRun
from kairoscope.shards import Shard, claim
from kairoscope.storage import Locked


def sweep_shard_stage(
    recipe: Recipe,
    cells: Sequence[Cell],
    samples: Sequence[AnySample],
    *,
    shard: Shard,
    out: Path,
    open_model: OpenModel,
    validation: float,
    on_progress: Progress,
    problems: Sequence[Problem] = (),
    prompt: Path | None = None,
    prices: Prices | None = None,
) -> tuple[dict[str, Any] | None, list[CellRun]]:
    """Ask about one share of the samples in every cell; whoever completes the last cell writes the table.

    Args:
        shard: which share.
        recipe: as for `sweep_stage`, as is everything else.

    Returns:
        `sweep.json`, or None where cells are not complete yet; and this process's cells, each with why it
        could not be asked, if it could not.

    Raises:
        UserError: the folder belongs to something else, or another process has this share.
    """
    claim(out, sweep_settings(recipe, cells, samples, validation, prompt), kind="sweep")

    def ask(cell: Cell, model: Engine) -> None:
        evaluate_shard_stage(
            recipe,
            refined(model, recipe, prompt, refine=cell.refine),
            samples,
            shard=shard,
            out=out / CELLS / cell.folder,
            config=cell.config,
            frames=cell.frames,
            on_progress=lambda what, done, total: on_progress(f"{what}, {cell.name}", done, total),
            problems=problems,
            prompt=prompt,
        )

    asked = ask_cells(cells, open_model, ask, on_progress, prices or {})
    if not all((out / CELLS / cell.folder / "metrics.json").exists() for cell in cells):
        return None, asked
    try:
        table = sweep_stage(
            recipe,
            cells,
            samples,
            out=out,
            open_model=open_model,
            validation=validation,
            on_progress=on_progress,
            problems=problems,
            prompt=prompt,
            prices=prices,
        )
    except Locked:  # another one saw that all is there, too
        return None, asked
    return table, asked
